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

/// Debug mode (`--debug`, `debug.checks`): looks at every activation and gradient, compares replicas, checks gradients
/// against finite differences, writes the routing, and keeps account of the time that takes.
///
/// Comparing collectives before they run is `CollectiveCheck`'s; the command turns it on.
package final class DebugChecks: StepObserver {
  private let configuration: DebugConfiguration
  private let recorder: PassRecorder
  private var routing: JSONLinesFile?
  /// Few, so that few routers choose otherwise under a small change.
  private static let checkedSequences = 2
  private var seconds: [String: Double] = [:]
  private var isGradientCheckDue: Bool
  /// What was found in this step, in words.
  private var finding: String?
  /// The table of the gradient check, until somebody prints it.
  private var gradientTable: String?

  package init(_ configuration: DebugConfiguration, _ recorder: PassRecorder) {
    self.configuration = configuration
    self.recorder = recorder
    isGradientCheckDue = !configuration.checkGradients.isEmpty
    recorder.startWatching()
  }

  /// Where the routing is written: on rank 0, after the lines through `step`.
  ///
  /// - Returns: what became of other lines; for people.
  package func writeRouting(to path: String, after step: Int) throws -> [String] {
    let format = "quillan-routing"
    let remarks = try JSONLinesFile.resume(path, after: step, format: format).remarks
    routing = try JSONLinesFile(path: path, format: format)
    return remarks
  }

  /// After a micro-batch: puts what was found into words, while its sequences are known.
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
    // A NaN's sign says nothing.
    let value = found.value.isNaN ? "nan" : "\(found.value)"
    finding = "\(found.place) is \(value)\(place), column \(found.column)"
  }

  /// After the micro-batches of a step. Collective.
  ///
  /// - Throws: `TrainingError` on every rank where a value was not finite on any.
  package func requireFinite(step: Int, _ learner: Learner) throws {
    defer { finding = nil }
    let communicator = learner.communicator
    // A format may round what is not finite to something else, so weights are looked at themselves.
    if let weight = timed("weights", { NonfiniteWatch.weight(learner.masters) }) { finding = weight }
    let first = try communicator.allReduce(finding == nil ? communicator.size : communicator.rank, .minimum)
    guard first < communicator.size else { return }
    let text = try communicator.broadcast(Array((finding ?? "").utf8), from: first)
    let speaker = communicator.size > 1 ? "rank \(first): " : ""
    throw TrainingError(
      .failure, isAgreed: true,
      "step \(step): \(speaker)\(String(decoding: text, as: UTF8.self)); it is the first value that is not finite: look at "
        + "the weights of that part, or lower the learning rate")
  }

  /// After an update: compares replicas where it is time, and writes the routing. Collective.
  ///
  /// - Parameter step: from 1.
  /// - Throws: `TrainingError` on every rank where replicas differ.
  package func stepped(_ step: Int, _ learner: Learner, loads: RoutingSnapshot?) throws {
    if let routing, let loads {
      try timed("routing") { try routing.append(loads.line(step: step)) }
    }
    guard configuration.hashEvery > 0, step.isMultiple(of: configuration.hashEvery) else { return }
    let difference = try timed("replicas") { try ReplicaHash.difference(learner.masters, learner.topology) }
    guard let difference else { return }
    throw TrainingError(
      .failure, isAgreed: true,
      "step \(step): replicas differ: \(difference); the ranks' memory or a message was damaged, or this is a defect: "
        + "resume from the checkpoint before the last comparison that was right (debug.hash_every)")
  }

  /// Holds the gradients of chosen tensors against finite differences, once, on rank 0.
  ///
  /// - Parameter loss: of so many of the first sequences of the micro-batch that is about to be trained on.
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
    // Its own passes are no part of the step.
    _ = recorder.takeFinding()
  }

  /// The table of the gradient check, once.
  package func takeGradientTable() -> String? { gradientTable.take() }

  /// What the checks took of a run of `total` seconds, in one line.
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
