// Command differ judges Sigstore bundles with sigstore-go, one after another, and says of each whether it holds.
//
// Each line on standard input is a JSON object: {"bundle": …, "root": "…", "artifact": "base64", "log": true, "sct": true}. Roots are
// texts, so that a root that stays the same is parsed once. Each line on standard output answers one: {"ok": true} or
// {"error": "…"}. The identity is not looked at: who signed is the policy's question, not the verifier's.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// lineBytes bounds one question.
const lineBytes = 64 << 20

type question struct {
	Bundle   json.RawMessage `json:"bundle"`
	Root     string          `json:"root"`
	Artifact []byte          `json:"artifact"`
	Log      bool            `json:"log"`
	Sct      bool            `json:"sct"`
}

type answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "differ:", err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytes)
	out := bufio.NewWriter(os.Stdout)
	roots := roots{}
	for lines.Scan() {
		said := answer{OK: true}
		if err := judge(lines.Bytes(), &roots); err != nil {
			said = answer{Error: err.Error()}
		}
		text, err := json.Marshal(said)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(text, '\n')); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// roots keeps the root that was read last.
type roots struct {
	text string
	read *root.TrustedRoot
	err  error
}

func (r *roots) get(text string) (*root.TrustedRoot, error) {
	if r.text != text {
		r.text = text
		r.read, r.err = root.NewTrustedRootFromJSON([]byte(text))
	}
	return r.read, r.err
}

// judge never panics: what makes the reference panic does not hold.
func judge(line []byte, roots *roots) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return fmt.Errorf("the question: %w", err)
	}
	trusted, err := roots.get(asked.Root)
	if err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	var given bundle.Bundle
	if err := given.UnmarshalJSON(asked.Bundle); err != nil {
		return fmt.Errorf("the bundle: %w", err)
	}
	content, err := given.VerificationContent()
	if err != nil {
		return err
	}
	if content.Certificate() == nil {
		return errors.New("the differ asks about certificates only")
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if asked.Log {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if asked.Sct {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return err
	}
	policy := verify.NewPolicy(verify.WithArtifact(bytes.NewReader(asked.Artifact)), verify.WithoutIdentitiesUnsafe())
	_, err = verifier.Verify(&given, policy)
	return err
}
