import Checkpoints
import Testing
import Training
import TrainingSupport

@Suite struct CheckpointWeightsTests {
  @Test("A checkpoint of a model with one more layer is rejected with the tensor that would be lost")
  func surplus() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    func run(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
      try TinyRun {
        $0.rl.numEpochs = 1
        $0.checkpoint.every = 1
        $0.logging.directory = folder.path
        change(&$0)
      }
    }
    try run { $0.model.numLayers += 1 }.execute(ranks, name: "deeper")
    let assembly = try run().assembly(ranks)
    let path = "\(folder.path)/deeper/checkpoints/step-000001"
    let error = #expect(throws: CheckpointError.self) { try assembly.masters(weights: path) }
    #expect(error?.code == .mismatch && error?.tensor?.hasPrefix("layers.") == true, "\(error as Any)")
  }
}
