// Package handover passes what a vcomd serves to the vcomd that takes its place: the
// one that it becomes itself by executing its program anew, or the one that the service
// manager starts next.
//
//	old: port.Save ─▶ Exec ────────────────────────────▶ new, same process: Take ─▶ port.Resume
//	old: port.Save ─▶ Store ─▶ systemd's descriptor store ─▶ new process: Take ─▶ port.Resume
//
// What is passed is a file in memory with all that is known, as JSON, and the
// descriptors that it speaks of. It has a version: what is not understood is not used,
// and its descriptors are closed.
package handover
