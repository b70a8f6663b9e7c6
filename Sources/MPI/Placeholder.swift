// Placeholder until the first file of MPI lands.
