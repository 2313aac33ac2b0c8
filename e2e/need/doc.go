// SPDX-License-Identifier: Apache-2.0

// Package need says what becomes of a test on a machine that lacks what it needs:
// root, built programs, a root file system. It is for tests only, and does not
// look for anything itself.
package need
