// Placeholder until the first file of Optimizers lands.
