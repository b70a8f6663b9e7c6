// Placeholder until the first file of Rollouts lands.
