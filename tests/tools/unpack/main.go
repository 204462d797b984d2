// Unpacks what it is given as a layer, by the libraries of podman (and buildah and CRI-O), containerd and Docker engine, and tells how
// many files came out. It is a module of its own, so that what these libraries need moves no version of the other tools.
//
// In: a byte for how to pack (n, g, b, x, z, s), four bytes of length, big endian, and the layer; over and over.
// Out: for each, a byte for each reader (how many files, at most 255), the same four bytes of length, and the layer as it was packed.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	containerdcompression "github.com/containerd/containerd/v2/pkg/archive/compression"
	podman "github.com/containers/storage/pkg/archive"
	"github.com/klauspost/compress/zstd"
	docker "github.com/moby/go-archive"
	"github.com/sirupsen/logrus"
	tarsplit "github.com/vbatts/tar-split/archive/tar"
)

// What a layer is packed into before it is read: each is found by its content.
const (
	asItIs    = 'n'
	gzipped   = 'g'
	bzipped   = 'b'
	xzipped   = 'x'
	zstandard = 'z'
	skippable = 's' // a frame that zstd skips comes first
)

func main() {
	logrus.SetOutput(io.Discard)
	root, err := os.MkdirTemp("", "unpack-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for number := 0; ; number++ {
		packing, layer, err := next(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		if layer, err = pack(packing, layer); err != nil {
			log.Fatal(err)
		}
		for _, reader := range readers {
			folder := filepath.Join(root, "layer")
			out.WriteByte(reader(folder, layer))
			if err := os.RemoveAll(folder); err != nil {
				log.Fatal(err)
			}
		}
		binary.Write(out, binary.BigEndian, uint32(len(layer)))
		out.Write(layer)
	}
}

func next(in *bufio.Reader) (byte, []byte, error) {
	packing, err := in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	layer := make([]byte, length)
	_, err = io.ReadFull(in, layer)
	return packing, layer, err
}

var readers = []func(folder string, layer []byte) byte{
	func(folder string, layer []byte) byte {
		return into(folder, func() error {
			_, err := podman.ApplyLayer(folder, bytes.NewReader(layer))
			return err
		})
	},
	func(folder string, layer []byte) byte {
		return into(folder, func() error {
			stream, err := containerdcompression.DecompressStream(bytes.NewReader(layer))
			if err != nil {
				return err
			}
			defer stream.Close()
			_, err = containerd.Apply(context.Background(), folder, stream)
			return err
		})
	},
	func(folder string, layer []byte) byte {
		return into(folder, func() error {
			_, err := docker.ApplyLayer(folder, bytes.NewReader(layer))
			return err
		})
	},
	// What a runtime refuses to write, such as a path that leads out, its reader may have taken for an entry.
	func(_ string, layer []byte) byte {
		return entries(layer, func(stream io.Reader) func() error {
			reader := tar.NewReader(stream)
			return func() error { _, err := reader.Next(); return err }
		})
	},
	// podman and Docker engine take layers apart by this one, to put them together again.
	func(_ string, layer []byte) byte {
		return entries(layer, func(stream io.Reader) func() error {
			reader := tarsplit.NewReader(stream)
			return func() error { _, err := reader.Next(); return err }
		})
	},
}

// into counts what one reader leaves in the folder; that it fails in the end takes nothing back.
func into(folder string, unpack func() error) byte {
	if err := os.Mkdir(folder, 0o700); err != nil {
		log.Fatal(err)
	}
	_ = unpack()
	var files byte
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != folder && files < 255 {
			files++
		}
		return nil
	})
	return files
}

func pack(how byte, layer []byte) ([]byte, error) {
	var out bytes.Buffer
	var packed io.WriteCloser
	var err error
	switch how {
	case asItIs:
		return layer, nil
	case gzipped:
		packed = gzip.NewWriter(&out)
	case bzipped:
		return by(layer, "bzip2")
	case xzipped:
		return by(layer, "xz")
	case skippable:
		out.Write([]byte{0x5b, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, '{', '}', ' ', ' '})
		packed, err = zstd.NewWriter(&out)
	case zstandard:
		packed, err = zstd.NewWriter(&out)
	default:
		return nil, errors.New("no such way to pack")
	}
	if err != nil {
		return nil, err
	}
	if _, err = packed.Write(layer); err != nil {
		return nil, err
	}
	err = packed.Close()
	return out.Bytes(), err
}

// by packs with a command of the machine; who asks for it has looked whether it is there.
func by(layer []byte, command string) ([]byte, error) {
	packer := exec.Command(command, "--compress", "--stdout")
	packer.Stdin = bytes.NewReader(layer)
	return packer.Output()
}

// entries counts what a reader takes for entries of a layer, at most 255.
func entries(layer []byte, open func(io.Reader) func() error) byte {
	stream, err := podman.DecompressStream(bytes.NewReader(layer))
	if err != nil {
		return 0
	}
	defer stream.Close()
	var count byte
	for next := open(stream); count < 255 && next() == nil; count++ {
	}
	return count
}
