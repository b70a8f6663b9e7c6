import Checkpoints
import Exports
import Learning
import Formats
import MPI
import Parameters
import Rollouts
import Tensors

/// Repeats a step of a recorded run on one process, whatever the layout of the run.
///
/// Starts from the newest checkpoint before the step, or from the run's first weights, and makes the steps from there
/// with the recorded configuration. Only reads the run's directory. With `parallel.reproducible` the results are
/// bit-identical to the run's; without it, gradient sums depend on the layout.
public struct StepReplay {
  /// What to keep of the step.
  public struct Options: Sendable {
    /// Whether to record every token.
    public var tokens = false
    /// Patterns of `weights.…` and `gradients.…` (names of parameters) and of `activations.…`.
    public var tensors: [String] = []

    public init() {}
  }

  /// The results of a replay.
  public struct Outcome {
    /// The checkpoint that the replay started from; nil for the run's first weights.
    public let checkpoint: String?
    /// The step of the starting state.
    public let start: Int
    public let comparison: StepComparison
    /// Why the step failed; nil if it succeeded.
    public let failure: TrainingError?
    public let tokens: [TokenRecord]
    public let tensors: [SafetensorsTensor]
  }

  private let recorded: RecordedStep
  private let threads: Int
  private let communicator: Communicator

  /// - Parameter communicator: of one rank.
  public init(_ recorded: RecordedStep, threads: Int, communicator: Communicator) {
    precondition(communicator.size == 1, "a replay needs one rank, not \(communicator.size)")
    self.recorded = recorded
    self.threads = threads
    self.communicator = communicator
  }

  /// Makes the steps up to the recorded one.
  ///
  /// - Parameters:
  ///   - note: receives a line for the log.
  ///   - progress: receives the number of steps made and their total.
  /// - Throws: the errors of starting a run; `TrainingError` if a step before the recorded one fails.
  public func execute(
    _ options: Options, note: (String) -> Void = { _ in }, progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> Outcome {
    var configuration = recorded.configuration
    configuration.parallel.expert = 1
    configuration.optimizer.shard = false
    let assembly = try RunAssembly(
      configuration, file: recorded.source, threads: threads, communicator: communicator)
    configuration.precision.bf16Sums.select()
    let (method, checkpoint) = try begin(assembly, note)
    let (start, count) = (method.stepCount, recorded.step - method.stepCount)
    while method.stepCount < recorded.step - 1 {
      _ = try method.makeStep()
      progress(method.stepCount - start, count)
    }

    let names = TensorNames(options.tensors)
    var tokens: [TokenRecord] = []
    var tensors = names.isEmpty ? [] : copies(of: method.learner.masters, "weights", names)
    var failure: TrainingError?
    var sequences: [TrainingSequence] = []
    // A rollout may fail too.
    do { sequences = try method.nextSequences() } catch let error as TrainingError { failure = error }
    if options.tokens || !names.isEmpty {
      for sequence in sequences {
        let inspection = SequenceInspection(
          sequence, assembly.model, method.learner.weights, temperature: method.temperature, names: names,
          assembly.context)
        if options.tokens { tokens += inspection.tokens(of: sequence, assembly.model, assembly.tokenizer) }
        tensors += inspection.tensors
      }
    }
    var line: [String: JSONValue] = [:]
    if failure == nil {
      do { line = try method.makeStep() } catch let error as TrainingError { failure = error }
    }
    progress(count, count)
    // A step without sequences leaves the previous step's gradients.
    if !sequences.isEmpty { tensors += copies(of: method.learner.gradients.store, "gradients", names) }
    guard names.isEmpty || !tensors.isEmpty || failure != nil else {
      throw TrainingError(
        .configuration,
        "--tensors \(options.tensors.joined(separator: ", ")): no tensor of step \(recorded.step) matches; names are "
          + "weights.NAME and gradients.NAME for parameters, and activations.TRAJECTORY.…")
    }
    return Outcome(
      checkpoint: checkpoint, start: start,
      comparison: StepComparison(recorded: failure == nil ? recorded.line : nil, replayed: line), failure: failure,
      tokens: tokens, tensors: tensors)
  }

  /// The method in the newest readable state before the step, and its checkpoint.
  private func begin(_ assembly: RunAssembly, _ note: (String) -> Void) throws -> (any Replayable, String?) {
    func method(blank: Bool) throws -> (any Replayable, InputDigests) {
      let materials = try assembly.materials(for: recorded.phase, weights: nil, blank: blank)
      let learner = try assembly.learner(materials.masters)
      let method: any Replayable =
        recorded.phase == .train
        ? try assembly.trainer(materials, learner) : assembly.pretrainer(materials, learner)
      return (method, materials.inputs)
    }
    var last: CheckpointError?
    for path in recorded.checkpoints {
      do {
        let (method, inputs) = try method(blank: true)
        let reader = try CheckpointReader(path)
        try method.learner.resume(from: reader, threads: threads)
        try method.resume(from: reader, threads: threads)
        try method.completeResume()
        for change in try inputs.changes(
          since: reader.manifest, path: path, assembly.configuration, accepting: true)
        {
          note("changed since the checkpoint: \(change)")
        }
        return (method, path)
      } catch let error as CheckpointError where error.isCorruptData {
        last = error
        note("skipped a damaged checkpoint: \(error)")
      }
    }
    if let last, !recorded.beginsWithWeights { throw last }
    return (try method(blank: false).0, nil)
  }

  private func copies(of store: ParameterStore, _ prefix: String, _ names: TensorNames) -> [SafetensorsTensor] {
    store.held.compactMap { id in
      let specification = store.table[id]
      let name = "\(prefix).\(specification.name)"
      guard names.contains(name) else { return nil }
      return SafetensorsTensor(name: name, shape: specification.shape, floats: Array(store.values(id)))
    }
  }
}
