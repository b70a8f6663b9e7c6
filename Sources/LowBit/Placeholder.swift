// Placeholder until the first file of LowBit lands.
