// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// trust is how long an answer of the API server that lets a caller in is
	// good for. Refusals are not remembered.
	trust = time.Minute
	// reviewLimit is how long the API server may take to answer.
	reviewLimit = 10 * time.Second
	// reviews is how many callers are asked about at the same time, so that
	// strangers cannot make us flood the API server.
	reviews = 4
)

// gate lets in who has a bearer token that the API server knows (TokenReview) and
// that may do what is asked for (SubjectAccessReview on the path).
//
// controller-runtime's filter of that kind is not used: it brings in
// k8s.io/apiserver with gRPC, CEL and OpenTelemetry, a quarter of all packages and
// a third of the binary, and answers 500 to a wrong token.
type gate struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
	slots  chan struct{}

	mu   sync.Mutex
	open map[pass]time.Time // until when
}

// pass is a request that was let in: a digest of token, verb and path.
type pass [sha256.Size]byte

// newGate is a metricsserver.Options.FilterProvider.
func newGate(cfg *rest.Config, hc *http.Client) (metricsserver.Filter, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	tokens, err := authenticationclient.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return nil, fmt.Errorf("make client for token reviews: %w", err)
	}
	access, err := authorizationclient.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return nil, fmt.Errorf("make client for access reviews: %w", err)
	}
	g := &gate{
		tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews(),
		slots: make(chan struct{}, reviews), open: map[pass]time.Time{},
	}
	return g.filter, nil
}

func (g *gate) filter(log logr.Logger, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || token == "" {
			http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
			return
		}
		verb := strings.ToLower(r.Method)
		p := pass(sha256.Sum256([]byte(verb + "\n" + r.URL.Path + "\n" + token)))
		if g.known(p, time.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		status, err := g.ask(r.Context(), token, verb, r.URL.Path)
		switch {
		case err != nil:
			log.Error(err, "caller of the metrics server cannot be checked")
			http.Error(w, "the caller cannot be checked now", http.StatusInternalServerError)
		case status != http.StatusOK:
			http.Error(w, http.StatusText(status), status)
		default:
			g.remember(p, time.Now())
			next.ServeHTTP(w, r)
		}
	}), nil
}

func (g *gate) known(p pass, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.open[p])
}

// remember notes who was let in, and forgets whose time is over.
func (g *gate) remember(p pass, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for old, until := range g.open {
		if !now.Before(until) {
			delete(g.open, old)
		}
	}
	g.open[p] = now.Add(trust)
}

// ask returns 200, 401 or 403.
func (g *gate) ask(ctx context.Context, token, verb, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewLimit)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for other reviews: %w", ctx.Err())
	}
	who, err := g.tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review token: %w", err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	may, err := g.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review access of %s: %w", user.Username, err)
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
