// Placeholder until the first file of Exports lands.
