package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Bounds of the files that settings name, in bytes.
const (
	MaxSecretFile = 64 << 10
	MaxConfigFile = 1 << 20
	MaxBundleFile = 4 << 20 // a system's whole bundle of roots takes 220 KiB
)

// ReadFile reads a file that a setting names. Its errors complete a sentence
// that begins with the setting and the path: they say what is wrong without
// naming the file again.
func ReadFile(path string, maxBytes int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Unreadable(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(maxBytes)+1))
	if err != nil {
		return nil, Unreadable(err)
	}
	if len(b) > maxBytes {
		return nil, fmt.Errorf("the file is larger than %d KiB", maxBytes>>10)
	}
	return b, nil
}

// ReadSecretFile reads a secret from a file of at most [MaxSecretFile] bytes
// and takes the line breaks off its end. An empty file is an error: it's a
// secret that was not mounted. Errors are as those of [ReadFile].
func ReadSecretFile(path string) (string, error) {
	b, err := ReadFile(path, MaxSecretFile)
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if strings.TrimSpace(s) == "" {
		return "", errors.New("the file is empty")
	}
	return s, nil
}

// Unreadable completes a sentence that names a file: it drops the path from err, which the caller's sentence names already.
func Unreadable(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("the file cannot be read (%w)", err)
}
