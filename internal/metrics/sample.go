package metrics

import (
	"math"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Port is what is measured of one port. Its methods are called on the poll loop.
type Port interface {
	Status() port.Status
	UART() port.UART
}

// Measured is a port and what counts for it.
type Measured struct {
	Port Port
	// Meter is nil for a port that is configured and could not be made.
	Meter *Meter
}

// sample is what was true of a port at one moment.
type sample struct {
	status port.Status
	uart   port.UART
	meter  Meter
	served bool
}

func (m Measured) sample() sample {
	s := sample{status: m.Port.Status(), uart: m.Port.UART(), served: m.Meter != nil}
	if s.served {
		s.meter = *m.Meter
	}
	return s
}

// family is one metric of a port.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	// values calls each for every series, with the values of the labels but port.
	values func(s *sample, each func(v float64, labels ...string))
}

func describe(kind prometheus.ValueType, name, help string, values func(s *sample, each func(v float64, labels ...string)), labels ...string) family {
	return family{desc: prometheus.NewDesc("vcomd_port_"+name, help, append([]string{"port"}, labels...), nil), kind: kind, values: values}
}

// one is for a metric with one series a port.
func one(value func(s *sample) float64) func(s *sample, each func(v float64, labels ...string)) {
	return func(s *sample, each func(v float64, labels ...string)) { each(value(s)) }
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// families are the metrics of a port.
var families = []family{
	describe(prometheus.GaugeValue, "info", "Always 1; what the port is connected to, and its first link.", func(s *sample, each func(v float64, labels ...string)) {
		link := s.status.Overlay
		if len(s.status.Links) > 0 {
			link = s.status.Links[0]
		}
		each(1, s.status.Remote, link)
	}, "remote", "link"),
	describe(prometheus.GaugeValue, "served", "1 if programs can open the port, 0 if it could not be made.", one(func(s *sample) float64 { return is(s.served) })),
	describe(prometheus.GaugeValue, "connected", "1 if there is a connection to the access server.", one(func(s *sample) float64 { return is(s.status.Up) })),
	describe(prometheus.GaugeValue, "failing", "1 if there is no connection although one was tried for.", one(func(s *sample) float64 { return is(!s.status.Up && s.status.LastError != nil) })),
	describe(prometheus.GaugeValue, "since_timestamp_seconds", "When connected became what it is.", one(func(s *sample) float64 {
		return float64(s.status.Since.UnixMilli()) / 1000
	})),
	describe(prometheus.GaugeValue, "rfc2217", "1 if the connection carries settings and lines.", one(func(s *sample) float64 {
		return is(s.status.Up && s.status.Mode == rfc2217client.ModeComPort)
	})),
	describe(prometheus.GaugeValue, "suspended", "1 if the access server holds the output (FLOWCONTROL-SUSPEND).", one(func(s *sample) float64 { return is(s.status.Suspended) })),
	describe(prometheus.GaugeValue, "open", "1 if a program has the port open.", one(func(s *sample) float64 { return is(s.status.Open) })),
	describe(prometheus.GaugeValue, "output_queue_bytes", "Bytes that programs have written and that were not sent yet.", one(func(s *sample) float64 { return float64(s.uart.OutQueue) })),
	describe(prometheus.GaugeValue, "modem_line", "1 if the line is on, as the access server has told last.", func(s *sample, each func(v float64, labels ...string)) {
		each(is(s.uart.Modem&comport.ModemCTS != 0), "cts")
		each(is(s.uart.Modem&comport.ModemDSR != 0), "dsr")
		each(is(s.uart.Modem&comport.ModemDCD != 0), "dcd")
		each(is(s.uart.Modem&comport.ModemRI != 0), "ri")
	}, "line"),

	describe(prometheus.CounterValue, "written_bytes_total", "Bytes that programs have written to the port.", one(func(s *sample) float64 { return float64(s.status.Bytes.FromProgram) })),
	describe(prometheus.CounterValue, "read_bytes_total", "Bytes that programs were given to read.", one(func(s *sample) float64 { return float64(s.status.Bytes.ToProgram) })),
	describe(prometheus.CounterValue, "sent_bytes_total", "Serial data sent to the access server.", one(func(s *sample) float64 { return float64(s.status.Client.BytesSent) })),
	describe(prometheus.CounterValue, "received_bytes_total", "Serial data received from the access server.", one(func(s *sample) float64 { return float64(s.status.Client.BytesReceived) })),
	describe(prometheus.CounterValue, "dropped_bytes_total", "Bytes that were dropped, by reason.", func(s *sample, each func(v float64, labels ...string)) {
		b, c := s.status.Bytes, s.status.Client
		each(float64(b.DroppedClosed), "closed")
		each(float64(b.DroppedFlush), "flush")
		each(float64(b.DroppedUnsent), "unsent")
		each(float64(b.DroppedStale), "stale")
		each(float64(b.DroppedDown), "down")
		each(float64(b.FlushedUnsent), "flushed_unsent")
		each(float64(s.status.DroppedBanner), "banner")
		each(float64(c.Undelivered), "undelivered")
		each(float64(c.PurgedBytes), "purged")
	}, "reason"),
	describe(prometheus.CounterValue, "tx_unconfirmed_bytes_total", "Bytes of the wire that were under way when a connection was lost: perhaps arrived, never sent twice.", one(func(s *sample) float64 {
		return float64(s.status.Client.Unconfirmed)
	})),
	describe(prometheus.CounterValue, "connections_total", "Connections to the access server that could be used.", one(func(s *sample) float64 { return float64(s.meter.connections) })),
	describe(prometheus.CounterValue, "connections_lost_total", "Of those, the ones that were lost.", one(func(s *sample) float64 { return float64(s.meter.losses) })),
	describe(prometheus.CounterValue, "settings_changes_total", "Changes of what programs want the UART to be.", one(func(s *sample) float64 { return float64(s.meter.settings) })),
	describe(prometheus.CounterValue, "commands_sent_total", "Messages of RFC 2217 sent.", one(func(s *sample) float64 { return float64(s.status.Client.CommandsSent) })),
	describe(prometheus.CounterValue, "commands_received_total", "Messages of RFC 2217 received.", one(func(s *sample) float64 { return float64(s.status.Client.CommandsReceived) })),
	describe(prometheus.CounterValue, "requests_timed_out_total", "Requests that the access server never acknowledged.", one(func(s *sample) float64 { return float64(s.status.Client.Unanswered) })),
	describe(prometheus.CounterValue, "requests_dropped_total", "Requests that there was no room for.", one(func(s *sample) float64 { return float64(s.status.Client.DroppedRequests) })),
	describe(prometheus.CounterValue, "bad_messages_total", "What the access server has sent and could not be understood.", func(s *sample, each func(v float64, labels ...string)) {
		each(float64(s.status.Client.UnknownMessages), "unknown")
		each(float64(s.status.Client.BrokenMessages), "broken")
	}, "kind"),
	describe(prometheus.CounterValue, "line_errors_total", "Errors of the line that the access server has reported, and breaks received; buffer_overrun stays 0: what has no room waits. It begins anew after 4294967295.", func(s *sample, each func(v float64, labels ...string)) {
		c := s.uart.Counts
		each(float64(c.Frame), "framing")
		each(float64(c.Parity), "parity")
		each(float64(c.Overrun), "overrun")
		each(float64(c.Brk), "break")
		each(float64(c.BufOverrun), "buffer_overrun")
	}, "kind"),
	describe(prometheus.CounterValue, "modem_changes_total", "Changes of a modem line; of ri, ends of rings. It begins anew after 4294967295.", func(s *sample, each func(v float64, labels ...string)) {
		c := s.uart.Counts
		each(float64(c.CTS), "cts")
		each(float64(c.DSR), "dsr")
		each(float64(c.DCD), "dcd")
		each(float64(c.RNG), "ri")
	}, "line"),
}

var ackDesc = prometheus.NewDesc("vcomd_port_ack_seconds", "How long the access server takes to acknowledge settings, flushes and questions.", []string{"port"}, nil)

// samples are a prometheus.Collector of one scrape.
type samples []sample

// Describe implements prometheus.Collector.
func (samples) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
	ch <- ackDesc
}

// Collect implements prometheus.Collector.
func (all samples) Collect(ch chan<- prometheus.Metric) {
	for i := range all {
		s := &all[i]
		name := strings.ToValidUTF8(s.status.Name, "\uFFFD")
		for _, f := range families {
			f.values(s, func(v float64, labels ...string) {
				for j, l := range labels {
					labels[j] = strings.ToValidUTF8(l, "\uFFFD")
				}
				ch <- prometheus.MustNewConstMetric(f.desc, f.kind, v, append([]string{name}, labels...)...)
			})
		}
		ch <- s.meter.acks.metric(name)
	}
}

// metric gives the histogram, whose buckets hold what the ones below hold, too.
func (h *histogram) metric(port string) prometheus.Metric {
	total, below := uint64(0), make(map[float64]uint64, len(buckets))
	for i, bound := range buckets {
		total += h.counts[i]
		below[bound.Seconds()] = total
	}
	total += h.counts[len(buckets)]
	return prometheus.MustNewConstHistogram(ackDesc, total, math.Max(h.sum.Seconds(), 0), below, port)
}
