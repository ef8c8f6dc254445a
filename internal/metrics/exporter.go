package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of what somebody can have the server do.
const (
	snapshotTime   = 2 * time.Second  // for the loop to look at all ports
	requestTime    = 5 * time.Second  // for a request to arrive
	answerTime     = 30 * time.Second // for an answer to leave
	maxHeader      = 8 << 10          // bytes
	maxScrapes     = 4                // at a time
	maxConnections = 64
)

// Config is what an Exporter needs.
type Config struct {
	// Post has f called on the poll loop, soon.
	Post func(f func())
	// Ports returns all ports. It is called on the loop.
	Ports func() []Measured
	// Version is vcomd's.
	Version string
}

// Exporter serves metrics. Use New.
type Exporter struct {
	cfg     Config
	process *prometheus.Registry // all but the ports
	scrapes chan struct{}        // one for each that is under way
}

// New returns an Exporter that serves nothing yet.
func New(cfg Config) *Exporter {
	e := &Exporter{cfg: cfg, process: prometheus.NewRegistry(), scrapes: make(chan struct{}, maxScrapes)}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "vcomd_build_info", Help: "Always 1; what this vcomd is.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	e.process.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Serve answers at ln until ctx ends, and returns nil then, when nothing of it is left. It
// closes ln.
func (e *Exporter) Serve(ctx context.Context, ln net.Listener) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	handler := e.Handler()
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			handler.ServeHTTP(w, r)
		}), ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: answerTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(newLimited(ln, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler answers GET /metrics.
func (e *Exporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", e.scrape)
	return mux
}

// scrape takes a snapshot and writes it.
func (e *Exporter) scrape(w http.ResponseWriter, r *http.Request) {
	select {
	case e.scrapes <- struct{}{}:
		defer func() { <-e.scrapes }()
	default:
		http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
		return
	}
	all, err := e.snapshot(r.Context())
	if err != nil {
		http.Error(w, "the ports do not answer", http.StatusServiceUnavailable)
		return
	}
	ports := prometheus.NewRegistry()
	ports.MustRegister(all)
	promhttp.HandlerFor(prometheus.Gatherers{e.process, ports}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// snapshot looks at all ports, on the loop.
func (e *Exporter) snapshot(ctx context.Context) (samples, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTime)
	defer cancel()
	done := make(chan samples, 1)
	e.cfg.Post(func() {
		if ctx.Err() != nil {
			return // nobody waits for it any more
		}
		ports := e.cfg.Ports()
		all := make(samples, 0, len(ports))
		for _, p := range ports {
			all = append(all, p.sample())
		}
		done <- all
	})
	select {
	case all := <-done:
		return all, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
