package allow

import (
	"net/http"
	"net/textproto"
	"strings"
)

// commonHeaders are the request headers that every VCS may get. What isn't here
// or in the vendor's rules never passes: Sudo, method and URL overrides,
// X-Forwarded-*, cookies, hop-by-hop headers and our own. Content-Length is
// absent since the one who sends the request sets it.
var commonHeaders = []string{
	"Accept",
	"Accept-Encoding",
	"Accept-Language",
	"Authorization",
	"Content-Encoding",
	"Content-Language",
	"Content-Type",
	"Git-Protocol",
	"If-Match",
	"If-Modified-Since",
	"If-None-Match",
	"If-Range",
	"If-Unmodified-Since",
	"Range",
	"Traceparent",
	"Tracestate",
	"User-Agent",
	"X-Request-Id",
}

func headerSet(more []string) map[string]bool {
	set := make(map[string]bool, len(commonHeaders)+len(more))
	for _, names := range [][]string{commonHeaders, more} {
		for _, name := range names {
			set[textproto.CanonicalMIMEHeaderKey(name)] = true
		}
	}
	return set
}

// Header returns a copy of the request headers that may go to the VCS, every
// value of each. A header that Connection names is hop-by-hop (RFC 9110,
// section 7.6.1) and stays behind even if its name is allowed.
func (p *Policy) Header(in http.Header) http.Header {
	named := connectionNamed(in)
	out := make(http.Header, len(in))
	for name, values := range in {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if p.headers[name] && !named[name] {
			out[name] = append(out[name], values...)
		}
	}
	return out
}

func connectionNamed(in http.Header) map[string]bool {
	var named map[string]bool
	for name, values := range in {
		if !strings.EqualFold(name, "Connection") {
			continue
		}
		for _, value := range values {
			for token := range strings.SplitSeq(value, ",") {
				if named == nil {
					named = make(map[string]bool)
				}
				named[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(token))] = true
			}
		}
	}
	return named
}

// CredentialHeaders returns the request headers by which a vendor takes
// credentials, Authorization first; nil for a vendor that has no rules.
func CredentialHeaders(vendor string) []string {
	file, err := loadVendor(vendor)
	if err != nil {
		return nil
	}
	return append([]string{"Authorization"}, file.Credentials...)
}
