package web

import (
	"embed"
	"html/template"
	"io"
	"path"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

// page is a page's template, in the layout that all have.
type page struct{ t *template.Template }

func (p *page) execute(w io.Writer, v view) error { return p.t.ExecuteTemplate(w, "layout", v) }

// shared are the files that every page may use.
var shared = []string{"templates/layout.html", "templates/parts.html"}

// loadPages reads all templates. They are part of the binary, so one that is
// broken is a fault of the program's.
func loadPages(a *assets) map[string]*page {
	base := template.Must(template.New("").Funcs(funcs(a)).ParseFS(templateFiles, shared...))
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic("web: " + err.Error())
	}
	pages := map[string]*page{}
	for _, e := range entries {
		file := path.Join("templates", e.Name())
		if file == shared[0] || file == shared[1] {
			continue
		}
		t := template.Must(template.Must(base.Clone()).ParseFS(templateFiles, file))
		pages[strings.TrimSuffix(e.Name(), ".html")] = &page{t}
	}
	return pages
}

func funcs(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.path,
		"poolPath": poolPath,
		"ago":      ago,
		"stamp":    stamp,
		"machine":  machineTime,
		"clock":    clock,
		"duration": duration,
		"seconds":  seconds,
		"percent":  percent,
		"size":     size,
		"count":    count,
		"number":   number,
		"outcome":  outcomeOf,
		"request":  requestPath,
		"reason":   func(name string) string { return reasons[name] },
		"code":     func(name string) string { return codes[name] },
		"tail":     tail,
		"date":     date,
		"args":     args,
	}
}

// args makes one value of several for a template that needs more than the dot:
// args "a" 1 "b" 2.
func args(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}
