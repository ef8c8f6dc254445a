package notify

// abis are the architectures of programs on this machine.
var abis = []abi{abiARM}
