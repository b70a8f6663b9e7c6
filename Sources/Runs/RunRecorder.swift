import Configuration
import Errors
import Formats
import Foundation
import Learning
import MPI
import Reports
import Rollouts

/// Writes the records of a run for people: metrics.jsonl, TensorBoard events, samples, the progress line, alarms, the
/// plot and the table of evaluations.
///
/// Only rank 0 has a recorder.
public final class RunRecorder {
  /// A panel of the plot.
  public typealias Panel = (title: String, label: String, metrics: [String])

  /// The minimum time between two plots, and the maximum share of a run's time that drawing may use.
  private static let plotInterval = Duration.seconds(10)
  private static let plotShare = 0.005

  public let directory: RunDirectory
  private let metrics: MetricsWriter
  private let samples: SamplesWriter
  private let events: TensorBoardWriter
  private let progress: ProgressReporter
  private let configuration: RunConfiguration
  private let title: String
  private let start = ContinuousClock.now
  private let panels: [Panel]
  private let session: RunSession.Writer
  private var lastStep: Int
  /// The step of the last evaluation recorded; nil before the first.
  private var lastEvaluation: Int?
  /// Whether this session has recorded a step or an evaluation.
  private var hasRecorded = false
  private var nextPlot: ContinuousClock.Instant
  private let alarms: JSONLinesFile
  /// The state of the alarms; nil if alarms are off.
  private(set) var health: HealthMonitor?
  private var best: BestEvaluation
  private var scoring = ScoringNotes()
  private var history: [String: StepHistory] = [:]

  /// The program of `logging.command`.
  private var tracker: MetricsCommand?

  /// The metrics of the evaluation before the first step, by name.
  public private(set) var first: [String: Double] = [:]
  /// The last step before this session.
  private let resumed: Int

  /// Creates the run directory with its resolved configuration, or resumes an earlier run.
  ///
  /// - Parameters:
  ///   - directory: the directory to resume; its records of steps after `step` are moved to other files.
  ///   - step: the number of completed steps.
  ///   - session: the description of this session.
  ///   - panels: the panels of the plot.
  ///   - health: the state of the alarms after `step`; nil: restore it from the records.
  public init(
    _ configuration: RunConfiguration, name: String, title: String, total: Int, session: RunSession.Start,
    panels: [Panel], resuming directory: RunDirectory? = nil, after step: Int? = nil, health: HealthMonitor? = nil
  ) throws {
    self.panels = panels
    lastStep = step ?? 0
    nextPlot = start + Self.plotInterval
    best = BestEvaluation(configuration)
    self.configuration = configuration
    self.title = title
    let resumed = step ?? 0
    self.resumed = resumed
    if let directory {
      self.directory = directory
      try directory.checkFiles()
      try AtomicFile.write(configuration.yaml(), to: directory.configuration)
    } else {
      self.directory = try RunDirectory.create(
        parent: configuration.logging.directory, name: name, configuration: configuration)
    }
    let directory = self.directory
    func resume(_ path: String, _ format: String) throws(ReportError) -> JSONLinesFile.Resumption {
      try JSONLinesFile.resume(path, after: resumed, format: format)
    }
    let earlier = try resume(directory.metrics, "quillan-metrics")
    let others = [
      try resume(directory.samples, "quillan-samples"), try resume(directory.alarms, "quillan-alarms"),
    ]
    metrics = try MetricsWriter(path: directory.metrics)
    samples = try SamplesWriter(path: directory.samples)
    alarms = try JSONLinesFile(path: directory.alarms, format: "quillan-alarms")
    self.session = try RunSession.Writer(path: directory.sessions, session)
    let patience = configuration.logging.alarmPatience
    // A state with a different patience cannot be continued.
    let restored = health.flatMap { $0.patience == patience ? $0 : nil }
    self.health = patience > 0 ? restored ?? HealthMonitor(patience: patience) : nil
    events = try TensorBoardWriter(
      directory: URL(fileURLWithPath: directory.path), resumedAt: step.map { Int64($0 + 1) })
    progress = ProgressReporter(title: title, total: total, every: max(1, total / 20))
    for line in earlier.lines { remember(line, observing: restored == nil) }
    for remark in earlier.remarks + others.flatMap(\.remarks) { progress.note(remark) }
    tracker = try startTracker()
  }

  /// Starts the program of `logging.command`, if there is one.
  private func startTracker() throws(ReportError) -> MetricsCommand? {
    let logging = configuration.logging
    guard !logging.command.isEmpty else { return nil }
    let path = URL(fileURLWithPath: directory.path)
    return try MetricsCommand(
      logging.command,
      variables: [
        "QUILLAN_RUN": path.lastPathComponent, "QUILLAN_RUN_DIRECTORY": path.path, "QUILLAN_PHASE": title,
        "QUILLAN_STEP": "\(resumed)", "QUILLAN_METRICS_VERSION": "1",
      ],
      timeout: logging.commandTimeout, log: progress.note)
  }

  /// Restores the state of this recorder from a metrics line of an earlier session.
  ///
  /// - Parameter observing: whether the alarms must observe the line, too.
  private func remember(_ line: [String: JSONValue], observing: Bool) {
    guard let step = line["step"]?.integerValue else { return }
    let numbers = line.compactMapValues(\.numberValue)
    if step > 0, observing { _ = health?.observe(step: step, numbers) }
    if observing { _ = newAlarms(step: step, evaluation: numbers) }
    best.add(numbers)
    if numbers.keys.contains(where: { $0.hasPrefix("eval/") }) { lastEvaluation = step }
    for (name, value) in line where name != "step" {
      let number: Double
      switch value {
      case .number(let real): number = real
      case .integer(let integer): number = Double(integer)
      default: continue
      }
      history[name, default: StepHistory()].append(step: step, number)
      if step == 0 { first[name] = number }
    }
  }

  /// Syncs the records to disk.
  public func synchronize() throws {
    try metrics.synchronize()
    try samples.synchronize()
    try alarms.synchronize()
    try events.flush()
  }

  public var elapsed: Double { (ContinuousClock.now - start) / .seconds(1) }

  /// Records the metrics, prompts and routing of a step (numbered from 1), and reports new alarms.
  public func record(
    step: Int, _ values: [String: Double], prompts: PromptLedger? = nil, loads: RoutingSnapshot? = nil
  ) throws {
    lastStep = step
    hasRecorded = true
    try raise(health?.observe(step: step, values, loads) ?? [], step: step)
    for (name, value) in values where value.isFinite { history[name, default: StepHistory()].append(step: step, value) }
    if step % configuration.logging.every == 0 {
      let every = configuration.logging.loadsEvery
      let isDue = every > 0 && (step == 1 || step % every == 0)
      let line = try metrics.write(
        step: step, MetricsWriter.members(values, prompts: prompts, loads: isDue ? loads : nil))
      tracker?.send(line)
      for (name, value) in values.sorted(by: { $0.key < $1.key }) where value.isFinite {
        try events.scalar(name, value: value, step: Int64(step))
      }
    }
    progress.report(
      step: step, first: resumed + 1, elapsed: elapsed,
      ProgressReporter.Figures(
        reward: values["reward"], loss: values["reward"] == nil ? values["loss"] : nil, entropy: values["entropy"],
        divergence: values["kl"], tokensPerSecond: values["tokens_per_second"]))
    try plotIfDue()
  }

  private func raise(_ new: [HealthMonitor.Alarm], step: Int) throws {
    for alarm in new {
      try alarms.append([
        "step": .integer(step), "since": .integer(alarm.step), "name": .text(alarm.name),
        "message": .text(alarm.message),
      ])
      progress.note("alarm since step \(alarm.step): \(alarm.message)")
    }
  }

  /// The alarms that an evaluation raises, if it is of prompts in reinforcement.
  private func newAlarms(step: Int, evaluation values: [String: Double]) -> [HealthMonitor.Alarm] {
    guard title == RunPhase.train.rawValue, let name = best.measure(of: values), let value = values[name] else {
      return []
    }
    return health?.observe(step: step, heldOut: value, named: name, count: configuration.evaluation.count) ?? []
  }

  /// Reports unscored completions and slow scoring of a step.
  public func record(step: Int, unscored: UnscoredCount?, _ values: [String: Double]) {
    for line in scoring.lines(step: step, unscored, values) { note(line) }
  }

  /// Records sample completions of a step, and the distribution of their rewards.
  public func record(step: Int, samples values: [CompletionSample]) throws {
    let every = configuration.logging.samplesEvery
    guard every > 0, step == 1 || step % every == 0, !values.isEmpty else { return }
    for sample in values.prefix(8) { try samples.write(step: step, sample) }
    try events.histogram("reward", values: values.map(\.reward).filter(\.isFinite), step: Int64(step))
    try events.text("samples", Self.table(values.prefix(8)), step: Int64(step))
  }

  /// Samples as a Markdown table.
  package static func table(_ samples: some Sequence<CompletionSample>) -> String {
    let rows = samples.map { sample in
      let texts = [sample.prompt, sample.completion, sample.answer ?? ""].map(MarkdownText.verbatim)
      return "| \(texts.joined(separator: " | ")) | \(sample.reward.isFinite ? "\(sample.reward)" : "unscored") |"
    }
    return (["| prompt | completion | answer | reward |", "|---|---|---|---|"] + rows).joined(separator: "\n")
  }

  /// The metric by which a new evaluation is better than all earlier ones; nil if it is not better.
  public func measureOfBest(_ values: [String: Double]) -> String? {
    best.isImproved(by: values) ? best.measure(of: values) : nil
  }

  /// Number of evaluations after the best one.
  var evaluationsSinceBest: Int { best.since }

  /// Records an evaluation of the weights after `step` steps. A resumed run may repeat the last evaluation, which is
  /// then not recorded again.
  ///
  /// - Parameter measure: the metric by which the evaluation is the best so far, if its weights were saved; otherwise
  ///   nil.
  public func record(step: Int, evaluation values: [String: Double], bestBy measure: String? = nil) throws {
    guard !values.isEmpty, step != lastEvaluation else { return }
    lastEvaluation = step
    hasRecorded = true
    best.add(values)
    let line = try metrics.write(step: step, values.mapValues(JSONValue.number))
    tracker?.send(line)
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      history[name, default: StepHistory()].append(step: step, value)
      try events.scalar(name, value: value, step: Int64(step))
    }
    progress.note(
      "step \(step): "
        + values.sorted { $0.key < $1.key }.map { "\($0.key) \(FigureText.fixed($0.value, 4))" }
        .joined(separator: ", ")
        + (measure.map { "; best so far by \($0), saved as best.safetensors" } ?? ""))
    try raise(newAlarms(step: step, evaluation: values), step: step)
  }

  /// Writes a line above the progress line.
  public func note(_ message: String) { progress.note(message) }

  /// Ends the progress line, syncs the files, writes the table of evaluations, draws the plot, and records the outcome
  /// of the session.
  public func finish(_ outcome: RunSession.Outcome) throws {
    progress.finish()
    try synchronize()
    let evaluations = try RunContent(path: directory.path).evaluations
    if !evaluations.isEmpty { try AtomicFile.write(EvaluationTable(evaluations).markdown, to: directory.evaluations) }
    try plot()
    try session.end(outcome, step: lastStep)
    tracker?.finish()
  }

  /// Records that the session failed, unless it has ended. Does not throw, so that it cannot replace the error of the
  /// caller.
  ///
  /// - Parameter removing: whether to remove the directory if the run has recorded nothing in it.
  package func abandon(removingIfEmpty removing: Bool = false) {
    guard session.isOpen else { return }
    try? session.end(.failed, step: lastStep)
    tracker?.finish()
    guard removing, !hasRecorded, directory.removeBeginnings() else { return }
    progress.note("\(directory.path) was removed: the run ended before its first step or evaluation")
  }

  /// Draws the plot again if enough time has passed since the last one.
  private func plotIfDue() throws {
    let now = ContinuousClock.now
    guard now >= nextPlot else { return }
    try plot()
    let end = ContinuousClock.now
    nextPlot = end + max(Self.plotInterval, (end - now) / Self.plotShare)
  }

  private func plot() throws {
    let drawn = panels.compactMap { panel -> LineChart.Panel? in
      let series = panel.metrics.compactMap { name in
        history[name].map { LineChart.Series(name: name, points: $0.points) }
      }
      return series.isEmpty ? nil : LineChart.Panel(title: panel.title, label: panel.label, series: series)
    }
    guard !drawn.isEmpty else { return }
    try LineChart(title: title, subtitle: directory.path, panels: drawn).write(to: directory.plot)
  }
}
