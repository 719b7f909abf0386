// A middleware for Traefik, which runs it from its source: what a replica broke off without an answer, another is
// asked. Traefik 3.6 repeats by itself only what it has not sent yet.
package repeat

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// More attempts than replicas: each goes to the next replica in turn, and with many requests at once some meet the dead
// one again. The first follows at once; together their pauses last until the dead one's endpoint is gone.
const (
	attempts = 20
	pause    = 20 * time.Millisecond
)

type Config struct{}

func CreateConfig() *Config { return &Config{} }

func New(_ context.Context, next http.Handler, _ *Config, _ string) (http.Handler, error) {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		kept := httptest.NewRecorder()
		for attempt := 1; ; attempt++ {
			again := request.Clone(request.Context())
			again.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(kept, again)
			if kept.Code != http.StatusBadGateway || attempt == attempts {
				break
			}
			kept = httptest.NewRecorder()
			time.Sleep(time.Duration(attempt-1) * pause)
		}
		for name, values := range kept.Header() {
			answer.Header()[name] = values
		}
		answer.WriteHeader(kept.Code)
		answer.Write(kept.Body.Bytes())
	}), nil
}
