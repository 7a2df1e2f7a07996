//go:build tools

// Package gitea names the program that is built from this module, so that go.mod keeps it.
package gitea

import _ "code.gitea.io/gitea"
