// Checks a log's folder with the Go project's own transparency log packages, and with no code of Countersign:
// the signature of every checkpoint, the leaves against the newest root, the tiles, an inclusion proof for every
// leaf, and the consistency of every older checkpoint with the newest.
//
//	checklog DIR VKEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: checklog DIR VKEY")
	}
	dir, vkey := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	check(err)
	newest := open(read(filepath.Join(dir, "checkpoint")), verifier)
	entries := leaves(dir, newest.N)
	tiles := tlog.TileHashReader(newest, folder{dir})

	stored := []tlog.Hash{}
	memory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for at, index := range indexes {
			found[at] = stored[index]
		}
		return found, nil
	})
	for number, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(number), entry, memory)
		check(err)
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(newest.N, memory)
	check(err)
	if root != newest.Hash {
		fail("the leaves do not give the signed root")
	}
	for number, entry := range entries {
		proof, err := tlog.ProveRecord(newest.N, int64(number), tiles)
		check(err)
		check(tlog.CheckRecord(proof, newest.N, newest.Hash, int64(number), tlog.RecordHash(entry)))
	}
	days, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*"))
	check(err)
	count := 0
	for _, day := range days {
		for _, text := range notes(string(read(day))) {
			older := open([]byte(text), verifier)
			if older.N > newest.N {
				fail(fmt.Sprintf("a checkpoint of %d leaves is newer than the newest", older.N))
			}
			proof, err := tlog.ProveTree(newest.N, older.N, tiles)
			check(err)
			check(tlog.CheckTree(proof, newest.N, newest.Hash, older.N, older.Hash))
			count++
		}
	}
	fmt.Printf("ok: %d leaves, %d checkpoints\n", len(entries), count)
}

// open checks the signature of a note and reads the checkpoint in it.
func open(text []byte, verifier note.Verifier) tlog.Tree {
	found, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(found.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		fail("this is no checkpoint of the log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	var tree tlog.Tree
	tree.N = size
	copy(tree.Hash[:], raw)
	return tree
}

// notes splits a day's file: three lines, an empty one, a signature.
func notes(day string) []string {
	lines := strings.SplitAfter(day, "\n")
	found := []string{}
	for at := 0; at+5 <= len(lines); at += 5 {
		found = append(found, strings.Join(lines[at:at+5], ""))
	}
	return found
}

// leaves reads the entry bundles: up to 256 entries, each after its length in two bytes.
func leaves(dir string, size int64) [][]byte {
	found := [][]byte{}
	for number := int64(0); number*256 < size; number++ {
		data := read(filepath.Join(dir, "tile", "entries", name(number, size-number*256)))
		for len(data) >= 2 {
			length := int(binary.BigEndian.Uint16(data))
			if len(data) < 2+length {
				fail("a bundle ends inside an entry")
			}
			found = append(found, data[2:2+length])
			data = data[2+length:]
		}
	}
	return found
}

// name is 1234067 → x001/x234/067, with .p/<width> where it is not full.
func name(number, width int64) string {
	path := fmt.Sprintf("%03d", number%1000)
	for number /= 1000; number > 0; number /= 1000 {
		path = fmt.Sprintf("x%03d/%s", number%1000, path)
	}
	if width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// folder serves tiles of height 8 from the log's files.
type folder struct{ dir string }

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for at, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(f.dir, "tile", strconv.Itoa(tile.L), name(tile.N, int64(tile.W))))
		if err != nil {
			return nil, err
		}
		found[at] = data
	}
	return found, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "REFUSED:", text)
	os.Exit(1)
}
