// Placeholder until the first file of Objectives lands.
