import Testing
import Training

@Suite struct IdleRanksTests {
  @Test("A run is warned of ranks that have no work, with what a step has and the remedy")
  func warning() {
    var configuration = RunConfiguration()
    configuration.rl.batchSize = 1
    configuration.rl.numTrajectories = 4
    configuration.pretrain.batchSize = 1
    #expect(
      IdleRanks.warning(configuration, .train, ranks: 5)
        == "a step has 4 trajectories (rl.batch_size · rl.num_trajectories) for 5 ranks, so some ranks only wait for the "
        + "others; start at most 4 ranks, or raise rl.batch_size")
    #expect(
      IdleRanks.warning(configuration, .pretrain, ranks: 2)
        == "a step has 1 sequence (pretrain.batch_size) for 2 ranks, so some ranks only wait for the others; start at "
        + "most 1 rank, or raise pretrain.batch_size")
    #expect(IdleRanks.warning(configuration, .train, ranks: 4) == nil)
    #expect(IdleRanks.warning(configuration, .pretrain, ranks: 1) == nil)
    #expect(IdleRanks.warning(configuration, .evaluate, ranks: 100) == nil)
    configuration.rl.batchSize = .max
    #expect(IdleRanks.warning(configuration, .train, ranks: 100) == nil)
  }
}
