package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

type settingsPage struct {
	poolHead
	Description    string
	MaxParallelism string
	Networks       string // one a line
	Limits         limitForm
	Problems       problems
}

func (s *server) showSettings(v *visit) error {
	head, err := s.poolHead(v, "settings")
	if err != nil {
		return err
	}
	p := settingsPage{poolHead: head, Description: head.Description, Limits: limitFormOf(head.Limits)}
	if head.MaxParallelism != 0 {
		p.MaxParallelism = strconv.Itoa(head.MaxParallelism)
	}
	for _, n := range head.Networks {
		p.Networks += n.String() + "\n"
	}
	return v.show(http.StatusOK, "settings", "pools", head.Name+" settings", p)
}

func (s *server) saveSettings(v *visit) error {
	head, err := s.poolHead(v, "settings")
	if err != nil {
		return err
	}
	form := v.r.PostForm
	p := settingsPage{poolHead: head, Description: text(form.Get("description")), MaxParallelism: strings.TrimSpace(form.Get("max_parallelism")),
		Networks: text(form.Get("networks")), Problems: problems{}}
	again := func() error {
		return v.show(http.StatusUnprocessableEntity, "settings", "pools", head.Name+" settings", p)
	}
	var limits store.Limits
	p.Limits, limits = readLimits(form, p.Problems)
	parallelism := wholeNumber("max_parallelism", p.MaxParallelism, p.Problems)
	networks := readNetworks(p.Networks, p.Problems)
	if len(p.Problems) > 0 {
		return again()
	}
	_, err = s.control.UpdatePool(v.ctx(), v.by(), head.Name, store.PoolChange{Description: &p.Description, Limits: &limits, MaxParallelism: &parallelism, Networks: &networks})
	if err != nil {
		if err := p.Problems.of(err); err != nil {
			return err
		}
		return again()
	}
	return v.seeOther(poolPath(head.Name, "settings"), "saved")
}

// readNetworks reads networks, or single addresses, one a line or with spaces or
// commas between them.
func readNetworks(typed string, problems problems) []netip.Prefix {
	networks := []netip.Prefix{}
	for _, word := range strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(" ,;\t\n", r) }) {
		if addr, err := netip.ParseAddr(word); err == nil && addr.Zone() == "" {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(word)
		if err != nil {
			problems["networks"] = fmt.Sprintf("%q is no network: use the form 10.1.0.0/16 or 2001:db8::/32.", control.Shown(word))
			return nil
		}
		networks = append(networks, n)
	}
	return networks
}
