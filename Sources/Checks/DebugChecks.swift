import Configuration
import Errors
import Learning
import Formats
import MPI
import Parallelism
import Parameters
import Reports
import Rollouts
import Telemetry

/// Debug mode (`--debug`, `debug.checks`): checks that activations and gradients are finite, compares replicas, compares
/// gradients with finite differences, writes the routing, and measures the time of the checks.
///
/// `CollectiveCheck`, which compares the arguments of collectives, is enabled by the command.
package final class DebugChecks: StepObserver {
  private let configuration: DebugConfiguration
  private let recorder: PassRecorder
  private var routing: JSONLinesFile?
  /// Sequences in the gradient check: few, so that a small change alters few routing decisions.
  private static let checkedSequences = 2
  private var seconds: [String: Double] = [:]
  private var isGradientCheckDue: Bool
  /// The first non-finite value of this step, in words.
  private var finding: String?
  /// The table of the gradient check until `takeGradientTable`.
  private var gradientTable: String?

  package init(_ configuration: DebugConfiguration, _ recorder: PassRecorder) {
    self.configuration = configuration
    self.recorder = recorder
    isGradientCheckDue = !configuration.checkGradients.isEmpty
    recorder.startWatching()
  }

  /// Starts to write the routing to `path` after the lines up to `step`. Only on rank 0.
  ///
  /// - Returns: messages about other lines of the file.
  package func writeRouting(to path: String, after step: Int) throws -> [String] {
    let format = "quillan-routing"
    let remarks = try JSONLinesFile.resume(path, after: step, format: format).remarks
    routing = try JSONLinesFile(path: path, format: format)
    return remarks
  }

  /// After a micro-batch: describes a non-finite value by sequence and position.
  package func didTrain(_ sequences: [(id: UInt64, tokens: Int)]) {
    guard let found = recorder.takeFinding(), finding == nil else { return }
    var first = 0
    var place = ""
    for sequence in sequences {
      if found.row < first + sequence.tokens {
        place = ", sequence \(sequence.id), position \(found.row - first)"
        break
      }
      first += sequence.tokens
    }
    // The sign of a NaN has no meaning.
    let value = found.value.isNaN ? "nan" : "\(found.value)"
    finding = "\(found.place) is \(value)\(place), column \(found.column)"
  }

  /// After the micro-batches of a step. Collective.
  ///
  /// - Throws: `TrainingError` on every rank if any rank had a non-finite value.
  package func requireFinite(step: Int, _ learner: Learner) throws {
    defer { finding = nil }
    let communicator = learner.communicator
    // Packing may round a non-finite master to a finite weight, so the masters are checked, too.
    if let weight = timed("weights", { NonfiniteWatch.weight(learner.masters) }) { finding = weight }
    let first = try communicator.allReduce(finding == nil ? communicator.size : communicator.rank, .minimum)
    guard first < communicator.size else { return }
    let text = try communicator.broadcast(finding ?? "", from: first)
    let speaker = communicator.size > 1 ? "rank \(first): " : ""
    throw TrainingError(
      .failure, isAgreed: true,
      "step \(step): \(speaker)\(text); it is the first non-finite value: check the "
        + "weights of that part or lower the learning rate")
  }

  /// After an update: writes the routing and, every `debug.hash_every` steps, compares replicas. Collective.
  ///
  /// - Parameter step: from 1.
  /// - Throws: `TrainingError` on every rank if replicas differ.
  package func stepped(_ step: Int, _ learner: Learner, loads: RoutingSnapshot?) throws {
    if let routing, let loads {
      try timed("routing") { try routing.append(loads.line(step: step)) }
    }
    guard configuration.hashEvery > 0, step.isMultiple(of: configuration.hashEvery) else { return }
    let difference = try timed("replicas") { try ReplicaHash.difference(learner.masters, learner.topology) }
    guard let difference else { return }
    throw TrainingError(
      .failure, isAgreed: true,
      "step \(step): replicas differ: \(difference); memory or a message was corrupted, or this is a defect: "
        + "resume from a checkpoint before the last successful comparison (debug.hash_every)")
  }

  /// Compares the gradients of selected tensors with finite differences, once, on rank 0.
  ///
  /// - Parameter loss: the loss of the given number of first sequences of the next micro-batch.
  package func willTrain(_ learner: Learner, loss: (Int) -> CheckedLoss.Evaluation) {
    guard isGradientCheckDue else { return }
    isGradientCheckDue = false
    guard learner.communicator.rank == 0 else { return }
    FlightRecorder.phase("gradient check") {
      timed("gradients") {
        gradientTable = GradientCheck(learner, patterns: configuration.checkGradients).table(
          loss(Self.checkedSequences))
      }
    }
    // Findings of the passes of the check do not belong to the step.
    _ = recorder.takeFinding()
  }

  /// Returns the table of the gradient check, once.
  package func takeGradientTable() -> String? { gradientTable.take() }

  /// The time of the checks in a run of `total` seconds, in one line.
  package func summary(of total: Double) -> String {
    let collectives = CollectiveCheck.cost
    var parts = [("collectives", collectives.seconds), ("finite values", recorder.seconds)]
    parts += seconds.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    let sum = parts.reduce(0) { $0 + $1.1 }
    let details = parts.map { "\($0.0) \(FigureText.fixed($0.1, 2)) s" }.joined(separator: ", ")
    return
      "debug checks took \(FigureText.fixed(sum, 2)) s, \(FigureText.fixed(100 * sum / max(1e-9, total), 1)) % of the "
      + "run (\(details); \(collectives.comparisons) collectives compared)"
  }

  private func timed<Result, Failure>(
    _ name: String, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let start = ContinuousClock.now
    defer { seconds[name, default: 0] += (ContinuousClock.now - start) / .seconds(1) }
    return try body()
  }
}

extension RoutingSnapshot {
  /// A line of routing.jsonl.
  func line(step: Int) -> [String: JSONValue] {
    func rows(_ values: [[Int]]) -> JSONValue { .list(values.map { .list($0.map(JSONValue.integer)) }) }
    return [
      "step": .integer(step), "mini_moes": rows(miniMoEs), "experts": rows(experts),
      "micro_agents": rows(microAgents),
    ]
  }
}
