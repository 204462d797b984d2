//! `ClusterImagePolicy` of Sigstore's policy-controller: every policy that matches must pass, and of each one authority.

use self::authority::Passes;
use self::glob::Globbed;
use super::fault::Fault;
use super::model::{Alternative, Asks, Lost, Mode, Need, Part};
use super::reader::Reader;
use super::remark::RemarkCode;
use super::tree::{Fields, Node};
use crate::limits;

mod attestation;
mod authority;
mod cue;
mod glob;
mod trust;

/// Reads one policy.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Part, Fault> {
    let name = node.text_at(&["metadata", "name"]).unwrap_or("ClusterImagePolicy");
    let spec = node.at(&["spec"]).ok_or_else(|| invalid(node, "it has no `spec`"))?;
    let mut fields = spec.fields()?;
    let mode = match fields.text("mode")? {
        None | Some("enforce" | "") => Mode::Enforce,
        Some("warn") => Mode::Warn,
        Some(_) => return Err(invalid(spec, "`mode` is neither \"enforce\" nor \"warn\"")),
    };
    let mut part = Part::new(name, &node.place, mode);
    images(&mut fields, spec, &mut part)?;
    let objects = fields.take("match");
    if let Some(objects) = objects {
        part.remark(
            RemarkCode::EveryObject,
            &objects.place,
            "`match`: every pull of these images is governed",
        );
    }
    let (authorities, whole) = (fields.list("authorities")?, fields.take("policy"));
    part.asks = asked(reader, authorities, &mut part)?;
    if let (Some(objects), Asks::Nothing) = (objects, &part.asks) {
        refuse(&mut part, RemarkCode::StaticMatch, &objects.place.clone(), "passes for some objects only");
    }
    if let Some(whole) = whole {
        let why = "`policy` is a program over all that the authorities found";
        refuse(&mut part, RemarkCode::Code, &whole.place.clone(), why);
    }
    if let Some((key, place)) = fields.first_left() {
        let why = format!("`{}` is not known here", pullgate_policy::text::escape(key));
        refuse(&mut part, RemarkCode::UnknownField, &place.clone(), &why);
    }
    Ok(part)
}

fn invalid(node: &Node, why: &str) -> Fault {
    Fault::Invalid { place: node.place.clone(), why: why.to_owned() }
}

fn refuse(part: &mut Part, code: RemarkCode, place: &super::tree::Place, why: &str) {
    part.remark(code, place, why);
    part.asks = Asks::Denial(why.to_owned());
}

fn images(fields: &mut Fields<'_>, spec: &Node, part: &mut Part) -> Result<(), Fault> {
    let images = fields.list("images")?;
    if images.is_empty() {
        return Err(invalid(spec, "it has no `images`"));
    }
    for image in images {
        let mut fields = image.fields()?;
        let glob = fields.text("glob")?.ok_or_else(|| invalid(image, "an image has no `glob`"))?;
        if let Some((key, _)) = fields.first_left() {
            return Err(invalid(
                image,
                &format!("`{}` of an image is unknown", pullgate_policy::text::escape(key)),
            ));
        }
        match glob::read(glob) {
            Globbed::Areas(areas) => part.areas.extend(areas),
            Globbed::Invalid => return Err(invalid(image, "the glob has characters that no glob has")),
            Globbed::Nothing(why) => {
                part.remark(
                    RemarkCode::LeftOut,
                    &image.place,
                    format!("{glob} matches nothing there: {why}"),
                );
            }
            Globbed::Unsaid(why) => {
                part.remark(RemarkCode::Pattern, &image.place, format!("{glob}: {why}"));
                let (place, pattern) = (image.place.clone(), glob.to_owned());
                part.lost.push(Lost { place, pattern, glob: glob.replace("index.docker.io/", "docker.io/") });
            }
        }
    }
    Ok(())
}

/// What one of the authorities asks for, whichever it is.
fn asked(reader: &mut Reader<'_>, authorities: &[Node], part: &mut Part) -> Result<Asks, Fault> {
    let mut ways: Vec<Vec<Need>> = Vec::new();
    let (mut passes, mut fails) = (false, false);
    let mut gone = Vec::new();
    for (at, node) in authorities.iter().enumerate() {
        match authority::read(reader, node, at, part)? {
            Passes::Always => passes = true,
            Passes::Never => fails = true,
            Passes::With(needs) => ways.push(needs),
            Passes::Unsaid((code, why)) => gone.push((code, node.place.clone(), why)),
        }
    }
    if passes {
        return Ok(Asks::Nothing);
    }
    let some = !ways.is_empty();
    for (code, place, why) in &gone {
        let code = if some { RemarkCode::AlternativeDropped } else { *code };
        part.remark(code, place, why.as_str());
    }
    Ok(match (some, gone.into_iter().next()) {
        (true, _) => Asks::Each(one_of(ways, part)),
        (false, Some((_, _, why))) => Asks::Denial(why),
        (false, None) if fails => Asks::Denial("`static: fail`".to_owned()),
        (false, None) => Asks::Denial("it has no authorities".to_owned()),
    })
}

/// One way of several, each of which asks for several things, as things that are all asked for: each choice of one thing of
/// each way must have one that holds (distribution of "and" over "or").
fn one_of(ways: Vec<Vec<Need>>, part: &mut Part) -> Vec<Need> {
    let mut each: Vec<Vec<Alternative>> = vec![Vec::new()];
    let choices = ways.iter().map(Vec::len).fold(1_usize, usize::saturating_mul);
    if choices > limits::IMPORT_CHOICES {
        let place = part.place.clone();
        let text = "all but the first authority: too many ways to combine what they ask for";
        part.remark(RemarkCode::AlternativeDropped, &place, text);
        return ways.into_iter().next().unwrap_or_default();
    }
    for way in &ways {
        each = each
            .iter()
            .flat_map(|chosen| way.iter().map(|Need(any)| chosen.iter().chain(any).cloned().collect()))
            .collect();
    }
    let mut needs: Vec<Need> = Vec::new();
    for need in each.into_iter().map(Need::of) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}
