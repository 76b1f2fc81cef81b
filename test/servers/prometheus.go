package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Scraper is a running Prometheus in the test's own network.
type Scraper struct {
	*Process

	// URL is the base of its pages and API.
	URL string
}

// Sample is one value of a query's answer.
type Sample struct {
	Labels map[string]string // without those that the query aggregated away
	Value  float64
}

// Prometheus runs a Prometheus that scrapes /metrics of each target (job to
// host:port) five times a second, and waits until it has scraped them all.
func Prometheus(t testing.TB, targets map[string]string) *Scraper {
	t.Helper()
	dir := t.TempDir()
	type static struct {
		Targets []string `json:"targets"`
	}
	type job struct {
		Name   string   `json:"job_name"`
		Static []static `json:"static_configs"`
	}
	var jobs []job
	for name, addr := range targets {
		jobs = append(jobs, job{name, []static{{[]string{addr}}}})
	}
	conf, err := json.Marshal(map[string]any{ // JSON is YAML
		"global":         map[string]string{"scrape_interval": "200ms", "scrape_timeout": "200ms"},
		"scrape_configs": jobs,
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "prometheus.yml"), string(conf))

	p := &Scraper{}
	var addr string
	path := lookPath(t, "prometheus")
	p.Process, addr = listening(t, nil, "", func(addr string) *exec.Cmd {
		return exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yml"),
			"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	})
	p.URL = "http://" + addr
	p.Await(t, fmt.Sprintf("count(up == 1) == %d", len(targets)))
	return p
}

// Query returns what a PromQL expression, which must give an instant vector or
// a scalar, gives now. It gives nothing for a series that was never scraped.
func (p *Scraper) Query(t testing.TB, promql string) []Sample {
	t.Helper()
	samples, err := p.query(context.Background(), promql)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// Await asks until a PromQL expression gives at least one sample, and returns
// what it gave. It fails the test after 30 s.
func (p *Scraper) Await(t testing.TB, promql string) []Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var samples []Sample
	if err := poll(ctx, p.Process, func() (err error) {
		if samples, err = p.query(ctx, promql); err == nil && len(samples) == 0 {
			err = fmt.Errorf("query %s: no sample", promql)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return samples
}

// client keeps no connections: their goroutines would outlive the test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (p *Scraper) query(ctx context.Context, promql string) ([]Sample, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/api/v1/query?query="+url.QueryEscape(promql), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("query %s: %s: %q", promql, resp.Status, body)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("query %s: %s", promql, answer.Error)
	}
	type series struct {
		Metric map[string]string
		Value  value
	}
	var vector []series
	switch answer.Data.ResultType {
	case "scalar":
		vector = make([]series, 1)
		err = json.Unmarshal(answer.Data.Result, &vector[0].Value)
	case "vector":
		err = json.Unmarshal(answer.Data.Result, &vector)
	default:
		err = fmt.Errorf("it gives a %s, not a vector or scalar", answer.Data.ResultType)
	}
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", promql, err)
	}
	var samples []Sample
	for _, s := range vector {
		samples = append(samples, Sample{s.Metric, float64(s.Value)})
	}
	return samples, nil
}

// value is how Prometheus writes a value: [seconds, "number"].
type value float64

func (v *value) UnmarshalJSON(b []byte) error {
	var number string
	if err := json.Unmarshal(b, &[]any{nil, &number}); err != nil {
		return err
	}
	f, err := strconv.ParseFloat(number, 64)
	*v = value(f)
	return err
}
