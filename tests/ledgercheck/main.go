// ledgercheck reads a ledger folder with the Go project's own packages for transparency logs (golang.org/x/mod/sumdb:
// note and tlog), which check the module downloads of every Go programmer and know nothing of vaultd.
//
//	ledgercheck FOLDER ROOT STRIDE [PROOFS]
//
// ROOT is the root key, as on paper. It verifies the certificates of the keys and every kept checkpoint, hashes every entry, compares every tile and the
// root of every checkpoint, proves every STRIDE-th entry from the tiles, and each checkpoint from the one before; and
// it verifies each NAME.tlog-proof of the folder PROOFS for the entry in NAME.leaf. Prints what it has checked as JSON;
// ends with status 1 and one line on standard error at the first thing that is wrong.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// checked is what was found to be right.
type checked struct {
	Origin      string  `json:"origin"`
	Size        int64   `json:"size"`
	Epochs      int     `json:"epochs"`
	Checkpoints []int64 `json:"checkpoints"`
	Entries     int64   `json:"entries"`
	Tiles       int     `json:"tiles"`
	Bundles     int     `json:"bundles"`
	Records     int     `json:"record_proofs"`
	Trees       int     `json:"tree_proofs"`
	Files       int     `json:"proof_files"`
}

// epoch is a key and the first size that it may sign.
type epoch struct {
	first int64
	key   note.Verifier
}

func main() {
	if len(os.Args) != 4 && len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: ledgercheck FOLDER ROOT STRIDE [PROOFS]")
		os.Exit(2)
	}
	stride, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil || stride < 1 {
		fmt.Fprintln(os.Stderr, "ledgercheck: STRIDE is a number from 1 on")
		os.Exit(2)
	}
	proofs := ""
	if len(os.Args) == 5 {
		proofs = os.Args[4]
	}
	found, err := check(os.Args[1], os.Args[2], stride, proofs)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledgercheck:", err)
		os.Exit(1)
	}
}

func check(folder, root string, stride int64, proofs string) (*checked, error) {
	epochs, err := readKeys(folder, root)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	trees, err := readCheckpoints(folder, epochs)
	if err != nil {
		return nil, err
	}
	newest := trees[len(trees)-1]
	found := &checked{Origin: epochs[0].key.Name(), Size: newest.N, Epochs: len(epochs)}
	for _, tree := range trees {
		found.Checkpoints = append(found.Checkpoints, tree.N)
	}
	memory, records, err := hashEntries(folder, newest.N, found)
	if err != nil {
		return nil, err
	}
	if err := checkTiles(folder, newest.N, memory, found); err != nil {
		return nil, err
	}
	if err := checkTrees(folder, trees, memory, found); err != nil {
		return nil, err
	}
	if err := proveRecords(folder, newest, stride, records, found); err != nil {
		return nil, err
	}
	if proofs != "" {
		if err := checkProofFiles(proofs, epochs, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// readKeys verifies the certificate of each epoch: signed by the root key, and by the key before it.
func readKeys(folder, vkey string) ([]epoch, error) {
	content, err := os.ReadFile(filepath.Join(folder, "keys", "root"))
	if err != nil {
		return nil, err
	}
	if string(content) != vkey+"\n" {
		return nil, errors.New("root is another key than that from paper")
	}
	root, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	names, err := os.ReadDir(filepath.Join(folder, "keys"))
	if err != nil {
		return nil, err
	}
	var epochs []epoch
	for number := 0; number < len(names)-1; number++ {
		certificate, err := os.ReadFile(filepath.Join(folder, "keys", strconv.Itoa(number)))
		if err != nil {
			return nil, err
		}
		signers := []note.Verifier{root}
		if number > 0 {
			signers = append(signers, epochs[number-1].key)
		}
		opened, err := note.Open(certificate, note.VerifierList(signers...))
		if err != nil {
			return nil, err
		}
		lines := strings.Split(opened.Text, "\n")
		if len(opened.Sigs) != len(signers) || len(lines) != 6 || lines[0] != "vaultd ledger key" ||
			lines[2] != strconv.Itoa(number) {
			return nil, fmt.Errorf("number %d is not a certificate", number)
		}
		first, err := strconv.ParseInt(lines[3], 10, 64)
		if err != nil {
			return nil, err
		}
		key, err := note.NewVerifier(lines[4])
		if err != nil {
			return nil, err
		}
		if key.Name() != lines[1] || root.Name() != lines[1]+"/root" {
			return nil, fmt.Errorf("number %d is of another log", number)
		}
		if number > 0 && first <= epochs[number-1].first {
			return nil, fmt.Errorf("number %d begins before the one before it", number)
		}
		epochs = append(epochs, epoch{first, key})
	}
	if len(epochs) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return epochs, nil
}

// readCheckpoints opens every kept checkpoint with the key of its epoch, the newest one last.
func readCheckpoints(folder string, epochs []epoch) ([]tlog.Tree, error) {
	names, err := os.ReadDir(filepath.Join(folder, "checkpoints"))
	if err != nil {
		return nil, err
	}
	var trees []tlog.Tree
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, "checkpoints", name.Name()))
		if err != nil {
			return nil, err
		}
		tree, err := openCheckpoint(content, epochs)
		if err != nil {
			return nil, fmt.Errorf("checkpoints/%s: %w", name.Name(), err)
		}
		if name.Name() != strconv.FormatInt(tree.N, 10) {
			return nil, fmt.Errorf("checkpoints/%s: it is of %d entries", name.Name(), tree.N)
		}
		trees = append(trees, tree)
	}
	if len(trees) == 0 {
		return nil, errors.New("no checkpoint is kept")
	}
	sort.Slice(trees, func(one, other int) bool { return trees[one].N < trees[other].N })
	shown, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	kept, err := os.ReadFile(filepath.Join(folder, "checkpoints", strconv.FormatInt(trees[len(trees)-1].N, 10)))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(shown, kept) {
		return nil, errors.New("checkpoint: it is not the newest of checkpoints")
	}
	return trees, nil
}

func openCheckpoint(content []byte, epochs []epoch) (tlog.Tree, error) {
	var keys []note.Verifier
	for _, one := range epochs {
		keys = append(keys, one.key)
	}
	opened, err := note.Open(content, note.VerifierList(keys...))
	if err != nil {
		return tlog.Tree{}, err
	}
	// tlog reads checkpoints of one origin only, that of Go's own database.
	origin := keys[0].Name()
	if !strings.HasPrefix(opened.Text, origin+"\n") {
		return tlog.Tree{}, errors.New("it is of another log")
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.TrimPrefix(opened.Text, origin+"\n")))
	if err != nil {
		return tlog.Tree{}, err
	}
	right := epochs[0].key
	for _, one := range epochs {
		if one.first <= tree.N {
			right = one.key
		}
	}
	if len(opened.Sigs) != 1 || opened.Sigs[0].Hash != right.KeyHash() {
		return tlog.Tree{}, errors.New("it is not signed by the key of its epoch")
	}
	return tree, nil
}

// path is that of a tile, or with level -1 of a bundle, below the folder: x/mod names its height as well.
func path(folder string, tile tlog.Tile) string {
	parts := strings.Split(tile.Path(), "/")
	if parts[2] == "data" {
		parts[2] = "entries"
	}
	return filepath.Join(folder, "tile", filepath.Join(parts[2:]...))
}

// read is a tile's file, or the beginning of the full one when the partial one is gone.
func read(folder string, tile tlog.Tile) ([]byte, error) {
	content, err := os.ReadFile(path(folder, tile))
	if errors.Is(err, fs.ErrNotExist) && tile.W < 1<<height {
		full := tile
		full.W = 1 << height
		content, err = os.ReadFile(path(folder, full))
	}
	return content, err
}

// split takes the entries of a bundle apart: two bytes of length, big-endian, and the entry.
func split(content []byte) ([][]byte, error) {
	var entries [][]byte
	for len(content) > 0 {
		if len(content) < 2 || len(content)-2 < int(binary.BigEndian.Uint16(content)) {
			return nil, errors.New("it ends in the middle of an entry")
		}
		end := 2 + int(binary.BigEndian.Uint16(content))
		entries = append(entries, content[2:end])
		content = content[end:]
	}
	return entries, nil
}

// hashEntries reads every bundle of the newest size and makes the hashes of the whole tree from the entries alone.
func hashEntries(folder string, size int64, found *checked) (tlog.HashReader, []tlog.Hash, error) {
	var stored, records []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for at, index := range indexes {
			if index >= int64(len(stored)) {
				return nil, fmt.Errorf("there is no hash %d", index)
			}
			hashes[at] = stored[index]
		}
		return hashes, nil
	})
	for _, tile := range widest(tlog.NewTiles(height, 0, size)) {
		if tile.L != 0 {
			continue
		}
		bundle := tlog.Tile{H: height, L: -1, N: tile.N, W: tile.W}
		content, err := read(folder, bundle)
		if err != nil {
			return nil, nil, err
		}
		entries, err := split(content)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", bundle.Path(), err)
		}
		if len(entries) < tile.W {
			return nil, nil, fmt.Errorf("%s: %d entries", bundle.Path(), len(entries))
		}
		for _, entry := range entries[:tile.W] {
			var fields struct {
				Seq    int64  `json:"seq"`
				Origin string `json:"origin"`
			}
			if err := json.Unmarshal(entry, &fields); err != nil || fields.Seq != found.Entries || fields.Origin != found.Origin {
				return nil, nil, fmt.Errorf("entry %d is not the entry of its place: %v", found.Entries, err)
			}
			hashes, err := tlog.StoredHashes(found.Entries, entry, reader)
			if err != nil {
				return nil, nil, err
			}
			stored = append(stored, hashes...)
			records = append(records, tlog.RecordHash(entry))
			found.Entries++
		}
	}
	return reader, records, nil
}

// widest keeps of each place the widest tile: NewTiles also names the partial ones on the way there.
func widest(tiles []tlog.Tile) []tlog.Tile {
	var kept []tlog.Tile
	for _, tile := range tiles {
		if last := len(kept) - 1; last >= 0 && kept[last].L == tile.L && kept[last].N == tile.N {
			kept[last] = tile
		} else {
			kept = append(kept, tile)
		}
	}
	return kept
}

// checkTiles compares every tile that must be there, and every file that is: also older partial ones.
func checkTiles(folder string, size int64, memory tlog.HashReader, found *checked) error {
	for _, tile := range widest(tlog.NewTiles(height, 0, size)) {
		for _, needed := range []tlog.Tile{tile, {H: height, L: -1, N: tile.N, W: tile.W}} {
			if needed.L == -1 && tile.L != 0 {
				continue
			}
			if _, err := os.Stat(path(folder, needed)); err != nil {
				return err
			}
		}
	}
	base := filepath.Join(folder, "tile")
	return filepath.WalkDir(base, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(base, name)
		if err != nil {
			return err
		}
		coordinates := strings.Replace(filepath.ToSlash(below), "entries/", "data/", 1)
		tile, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", height, coordinates))
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		hashed := tile
		if tile.L == -1 {
			hashed.L = 0
			if content, err = recordHashes(content); err != nil {
				return fmt.Errorf("%s: %w", below, err)
			}
			found.Bundles++
		} else {
			found.Tiles++
		}
		right, err := tlog.ReadTileData(hashed, memory)
		if err != nil {
			return fmt.Errorf("%s: %w", below, err)
		}
		if !bytes.Equal(content, right) {
			return fmt.Errorf("%s: it is not what follows from the entries", below)
		}
		return nil
	})
}

func recordHashes(bundle []byte) ([]byte, error) {
	entries, err := split(bundle)
	var hashes []byte
	for _, entry := range entries {
		hash := tlog.RecordHash(entry)
		hashes = append(hashes, hash[:]...)
	}
	return hashes, err
}

// tiles reads the folder for tlog, which then believes only what leads to the signed root.
type tiles string

func (folder tiles) Height() int { return height }

func (folder tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var contents [][]byte
	for _, tile := range wanted {
		content, err := read(string(folder), tile)
		if err != nil {
			return nil, err
		}
		if len(content) > tile.W*tlog.HashSize {
			content = content[:tile.W*tlog.HashSize]
		}
		contents = append(contents, content)
	}
	return contents, nil
}

func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// checkTrees compares the root of every checkpoint, and proves each from the one before, by the newest one's tiles.
func checkTrees(folder string, trees []tlog.Tree, memory tlog.HashReader, found *checked) error {
	newest := trees[len(trees)-1]
	reader := tlog.TileHashReader(newest, tiles(folder))
	for at, tree := range trees {
		hash, err := tlog.TreeHash(tree.N, memory)
		if err != nil {
			return err
		}
		if hash != tree.Hash {
			return fmt.Errorf("checkpoints/%d: its root is not that of its entries", tree.N)
		}
		if at == 0 {
			continue
		}
		for _, older := range []tlog.Tree{trees[at-1], trees[0]} {
			proof, err := tlog.ProveTree(tree.N, older.N, reader)
			if err != nil {
				return fmt.Errorf("from %d to %d: %w", older.N, tree.N, err)
			}
			if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
				return fmt.Errorf("from %d to %d: %w", older.N, tree.N, err)
			}
			found.Trees++
		}
	}
	return nil
}

func proveRecords(folder string, tree tlog.Tree, stride int64, records []tlog.Hash, found *checked) error {
	reader := tlog.TileHashReader(tree, tiles(folder))
	prove := func(index int64) error {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		found.Records++
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, records[index]); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		return nil
	}
	for index := int64(0); index < tree.N; index += stride {
		if err := prove(index); err != nil {
			return err
		}
	}
	return prove(tree.N - 1)
}

func checkProofFiles(folder string, epochs []epoch, found *checked) error {
	names, err := filepath.Glob(filepath.Join(folder, "*.tlog-proof"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := checkProofFile(name, epochs); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		found.Files++
	}
	return nil
}

func checkProofFile(name string, epochs []epoch) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(strings.TrimSuffix(name, ".tlog-proof") + ".leaf")
	if err != nil {
		return err
	}
	at := bytes.Index(content, []byte("\n\n"))
	if at < 0 {
		return errors.New("it has no checkpoint")
	}
	tree, err := openCheckpoint(content[at+2:], epochs)
	if err != nil {
		return err
	}
	lines := strings.Split(string(content[:at]), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("it is not a proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}
