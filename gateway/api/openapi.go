package api

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPI []byte

// description is openapi.yaml as JSON.
var description = sync.OnceValues(func() (json.RawMessage, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openAPI, &document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
})

// showOpenAPI answers the description of the API. It is no secret: it needs no
// key, so that tools can load it.
func (s *server) showOpenAPI(http.ResponseWriter, *request) (answer, error) {
	d, err := description()
	if err != nil {
		return answer{}, err
	}
	return ok(d)
}
