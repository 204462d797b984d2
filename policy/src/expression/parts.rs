//! Which parts of a document an expression names: nothing else is copied for it, or counted (A255). Of an SBOM of 12
//! MiB most ask one field.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the tree is the library's, and what is not a name or a field is looked through"
)]

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cel::Value as Cel;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr};
use cel::objects::Key;
use serde_json::Value;

use super::{shape, values};

/// The parts of one variable that are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// All of it.
    All,
    /// These members.
    Members(BTreeMap<String, Self>),
}

/// The same of every variable.
pub(super) type Named = BTreeMap<String, Parts>;

/// How often an expression looks at what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    /// For each entry of a list: a comprehension names a document again, or builds a list, which is copied at each step.
    Again,
    /// Once for each time that it is named.
    Once,
}

/// Documents of the signer's.
const DOCUMENTS: [&str; 3] = ["predicate", "provenance", "statement"];

/// What an expression names, and how often it looks.
pub(super) fn of(expression: &IdedExpr) -> (Named, Looks) {
    let mut walk = Walk { named: Named::new(), looks: Looks::Once };
    walk.expression(expression, &BTreeSet::new());
    (walk.named, walk.looks)
}

struct Walk {
    named: Named,
    looks: Looks,
}

impl Walk {
    fn expression(&mut self, ided: &IdedExpr, bound: &BTreeSet<String>) {
        if let Some((name, path)) = path(ided).filter(|(name, _)| !bound.contains(*name)) {
            let parts = self.named.entry(name.to_owned());
            parts.or_insert_with(|| Parts::Members(BTreeMap::new())).add(&path);
            return;
        }
        match &ided.expr {
            Expr::Select(select) => self.expression(&select.operand, bound),
            Expr::Call(call) => {
                let inner = call.target.iter().map(Box::as_ref).chain(&call.args);
                inner.for_each(|one| self.expression(one, bound));
            }
            Expr::List(list) => list.elements.iter().for_each(|one| self.expression(one, bound)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, bound);
                    self.expression(&entry.value, bound);
                }
                EntryExpr::StructField(field) => self.expression(&field.value, bound),
            }),
            Expr::Comprehension(one) => self.comprehension(one, bound),
            _ => {}
        }
    }

    fn comprehension(&mut self, one: &ComprehensionExpr, bound: &BTreeSet<String>) {
        self.expression(&one.iter_range, bound);
        self.expression(&one.accu_init, bound);
        let mut bound = bound.clone();
        bound.extend([one.iter_var.clone(), one.accu_var.clone()].into_iter().chain(one.iter_var2.clone()));
        let mut inner = Self { named: Named::new(), looks: self.looks };
        [&one.loop_cond, &one.loop_step, &one.result]
            .into_iter()
            .for_each(|each| inner.expression(each, &bound));
        let names_again = DOCUMENTS.iter().any(|document| inner.named.contains_key(*document));
        if names_again || matches!(one.accu_init.expr, Expr::List(_)) {
            inner.looks = Looks::Again;
        }
        self.looks = inner.looks;
        for (name, parts) in inner.named {
            match self.named.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(parts)),
                Entry::Occupied(mut entry) => entry.get_mut().join(parts),
            }
        }
    }
}

/// A variable and the members that lead from it, in either form: `predicate.a["b"]`.
fn path(ided: &IdedExpr) -> Option<(&str, Vec<&str>)> {
    match &ided.expr {
        Expr::Ident(name) => Some((name, Vec::new())),
        Expr::Select(select) => {
            let (name, mut path) = path(&select.operand)?;
            path.push(&select.field);
            Some((name, path))
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            ("_[_]", [of, index]) => {
                let (name, mut path) = path(of)?;
                path.push(shape::text_of(index)?);
                Some((name, path))
            }
            _ => None,
        },
        _ => None,
    }
}

impl Parts {
    fn add(&mut self, path: &[&str]) {
        match (&mut *self, path) {
            (Self::All, _) => {}
            (Self::Members(_), []) => *self = Self::All,
            (Self::Members(members), [first, rest @ ..]) => {
                members
                    .entry((*first).to_owned())
                    .or_insert_with(|| Self::Members(BTreeMap::new()))
                    .add(rest);
            }
        }
    }

    /// What either of the two names.
    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (Self::Members(_), Self::All) => *self = Self::All,
            (Self::Members(members), Self::Members(others)) => {
                for (name, parts) in others {
                    members.entry(name).or_insert_with(|| Self::Members(BTreeMap::new())).join(parts);
                }
            }
        }
    }

    /// These parts of a document, as values of the language. A value that is no object has no members: to ask for one
    /// is an error.
    pub(super) fn told(&self, value: &Value) -> Cel {
        match (self, value) {
            (Self::Members(members), Value::Object(object)) => {
                let part = |(name, parts): (&String, &Self)| {
                    Some((Key::from(name.as_str()), parts.told(object.get(name)?)))
                };
                Cel::from(members.iter().filter_map(part).collect::<HashMap<Key, Cel>>())
            }
            (Self::Members(_), Value::Array(_)) => values::json(&Value::Array(Vec::new())),
            (_, value) => values::json(value),
        }
    }

    /// Each of the parts that the expression reads.
    pub(super) fn in_value<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Members(members), Value::Object(object)) => members
                .iter()
                .filter_map(|(name, parts)| Some(parts.in_value(object.get(name)?)))
                .flatten()
                .collect(),
            (Self::Members(_), Value::Array(_)) => Vec::new(),
            (_, value) => vec![value],
        }
    }
}

#[cfg(test)]
mod tests {
    use cel::Program;
    use serde_json::json;

    use super::*;

    fn parts(text: &str, variable: &str) -> Option<Parts> {
        of(Program::compile(text).unwrap().expression()).0.remove(variable)
    }

    fn members(names: &[&str]) -> Option<Parts> {
        let member = |name: &&str| ((*name).to_owned(), Parts::All);
        Some(Parts::Members(names.iter().map(member).collect()))
    }

    #[test]
    fn a255_what_an_expression_names_is_what_is_told_of_a_document() {
        for (text, expected) in [
            ("predicate.a == 1 && predicate['b'] == 2", members(&["a", "b"])),
            ("has(predicate.a)", members(&["a"])),
            ("predicate.a.all(predicate, predicate.z == 1)", members(&["a"])),
            ("predicate.a.all(x, x == predicate.b)", members(&["a", "b"])),
            ("size(predicate) == 1 || predicate.a == 1", Some(Parts::All)),
            ("predicate[statement.x] == 1", Some(Parts::All)),
            ("[predicate.a] == [{'k': predicate.b}.k]", members(&["a", "b"])),
            ("predicate.a[0] == 1", members(&["a"])),
            ("statement.a == 1", None),
        ] {
            assert_eq!(parts(text, "predicate"), expected, "{text}");
        }
        let both =
            parts("[1].all(x, predicate.b == x) && predicate.a == 1 && predicate.b.c == 1", "predicate");
        assert_eq!(both, members(&["a", "b"]));
        let deep = parts("predicate.a.b == 1", "predicate").unwrap();
        let document = json!({ "a": { "b": 1, "c": [2] }, "d": "e" });
        assert_eq!(deep.in_value(&document), [&json!(1)]);
        assert_eq!(deep.told(&document), values::json(&json!({ "a": { "b": 1 } })));
        assert_eq!(deep.told(&json!({ "a": [1] })), values::json(&json!({ "a": [] })));
        assert_eq!(deep.told(&json!({ "a": "x" })), values::json(&json!({ "a": "x" })));
    }

    #[test]
    fn a255_an_expression_that_looks_again_for_each_entry_of_a_list_is_known() {
        for (text, looks) in [
            ("predicate.a.all(x, x.b != 'y' && x.c in ['d'])", Looks::Once),
            ("predicate.a.exists_one(predicate, predicate.b == image.digest)", Looks::Once),
            ("predicate.a.exists(x, x == 1) && predicate.b.exists(x, x == 2)", Looks::Once),
            ("predicate.a.all(x, predicate.b.contains(x))", Looks::Again),
            ("predicate.a.all(x, x in statement.b)", Looks::Again),
            ("predicate.a.all(x, provenance.source.contains(x))", Looks::Again),
            ("predicate.a.filter(x, x == 1) == []", Looks::Again),
            ("size(predicate.a.map(x, x.b)) == 1 || predicate.a.all(x, x == 1)", Looks::Again),
        ] {
            assert_eq!(of(Program::compile(text).unwrap().expression()).1, looks, "{text}");
        }
    }
}
