// Package metrics serves what ports do in Prometheus' text format.
//
// An Exporter answers GET /metrics, and nothing else, at a listener. For each request it
// takes one snapshot of all ports on the poll loop, within a bounded time, and formats it
// beside the loop. So what a scrape costs the ports is one snapshot; a port that is gone is
// gone from the metrics, and there are as many series as ports times a constant: the only
// label that grows is port.
//
// Most of a snapshot is port.Status. What that does not count (connections, changes of
// settings, how long acknowledgements take) is counted by a Meter, one for each port, which
// is fed on the loop. Counters of a port begin at 0 when it is made anew, which Prometheus
// takes for what it is.
//
// There is no authentication and no TLS: whoever reaches the address may read. Nobody can
// change anything there.
package metrics
