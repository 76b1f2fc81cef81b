package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// types are the files' content types, whatever the machine's own table says.
var types = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// assets serves the stylesheet, the script and the icon under names that change
// with their content, so that browsers may keep them for ever.
type assets struct {
	content map[string][]byte // by the name in the address
	names   map[string]string // from the file's name to it
}

func loadAssets() *assets {
	a := &assets{map[string][]byte{}, map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic("web: " + err.Error()) // it is part of the binary
	}
	for _, e := range entries {
		content, err := fs.ReadFile(assetFiles, "assets/"+e.Name())
		if err != nil {
			panic("web: " + err.Error())
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.content[name], a.names[e.Name()] = content, "/assets/"+name
	}
	return a
}

// path is the address of a file.
func (a *assets) path(file string) string { return a.names[file] }

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, ok := a.content[name]
	if !ok {
		http.Error(w, "There is no such file: reload the page.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(content)
}
