package main

import (
	"math"
	"slices"
	"time"
)

// percentile is the value at p (0 to 1) of the samples by the nearest rank, 0 without samples. It sorts them.
func percentile(samples []time.Duration, p float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	slices.Sort(samples)
	rank := int(math.Ceil(p * float64(len(samples))))
	return samples[min(max(rank, 1), len(samples))-1]
}

// median is the middle value, or the mean of the middle two; NaN without values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
