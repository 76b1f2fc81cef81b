package store

import "github.com/cespare/xxhash/v2"

// bloom is a Bloom filter, which is told values by their hashes and then says
// which of them it may have been told. It is stored, so where a hash is in it
// must stay as it is.
type bloom []byte

// bloomProbes is how many bits stand for a hash.
const bloomProbes = 4

// add tells it a hash.
func (b bloom) add(hash uint64) {
	place, step := bloomStart(hash)
	for range bloomProbes {
		bit := place % uint32(len(b)*8)
		b[bit/8] |= 1 << (bit % 8)
		place += step
	}
}

// mayHave says whether it may have been told all the hashes.
func (b bloom) mayHave(hashes []uint64) bool {
	for _, hash := range hashes {
		place, step := bloomStart(hash)
		for range bloomProbes {
			bit := place % uint32(len(b)*8)
			if b[bit/8]&(1<<(bit%8)) == 0 {
				return false
			}
			place += step
		}
	}
	return true
}

// bloomStart is the first of a hash's places and how far it is to the next:
// double hashing, after Kirsch and Mitzenmacher, "Less Hashing, Same Performance".
func bloomStart(hash uint64) (place, step uint32) { return uint32(hash), uint32(hash>>32) | 1 }

// valueHash is what a block's filter knows a value by: a field's, of the requests
// to a pool or to any (""), or the pool itself if there is no value.
func valueHash(pool string, kind blockKind, value string) uint64 {
	key := make([]byte, 0, 256)
	key = append(key, pool...)
	key = append(key, 0, byte(kind)) // a pool's ID has no 0
	return xxhash.Sum64(append(key, value...))
}
