// Placeholder until the first file of Parameters lands.
