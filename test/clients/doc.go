// Package clients drives the whole path, gateway and agent, with the client
// libraries that backends use: GitLab's client-go, go-github, go-bitbucket-v1,
// azure-devops-go-api and Gitea's SDK. It's a module of its own so that the
// libraries stay out of the software's dependencies.
//
// Each vendor's test has two tables: the library's calls that a rule allows,
// and others that no rule does. Every call is made three times: straight to a
// VCS that records what it gets, through the gateway's path form, and through
// the gateway as a forward proxy, the last two over each carrier. What comes
// through must be what went straight; what is denied must not arrive. A rule
// that no call covers must be listed with the reason.
package clients
