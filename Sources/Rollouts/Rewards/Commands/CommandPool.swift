import Foundation

/// The processes of a `CommandReward` and what they are working on.
struct CommandPool: ~Copyable {
  /// A process with the completions it was given and has not answered, oldest first.
  private struct Worker {
    let process: WorkerProcess
    var given: [Int] = []
    var hasAnswered = false
    /// When the oldest completion began to wait.
    var since = ContinuousClock.now
  }

  private let name: String
  private let settings: CommandReward.Settings
  private let command: [String]
  private let environment: [String: String]
  private let log: @Sendable (String) -> Void
  private var workers: [Worker] = []
  /// Processes in a row that ended or were ended without one answer.
  private var fruitless = 0
  private var lastMessage = ""
  /// So many make it a fault of the program, not of a completion.
  private static let maximumFruitless = 3

  init(
    name: String, settings: CommandReward.Settings, command: [String], environment: [String: String],
    log: @escaping @Sendable (String) -> Void
  ) {
    self.name = name
    self.settings = settings
    self.command = command
    self.environment = environment
    self.log = log
  }

  /// The outcomes of one call while they come in.
  private struct Call {
    let lines: [[UInt8]]
    let places: [Int: Int]
    var results: [RewardOutcome?]
    var queue: ArraySlice<Int>
    var open: Int
  }

  mutating func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
    var places: [Int: Int] = [:]
    for (place, item) in items.enumerated() { places[Int(item.id)] = place }
    precondition(places.count == items.count, "\(items.count) completions with \(places.count) different ids")
    var call = Call(
      lines: items.map(Self.line), places: places, results: [RewardOutcome?](repeating: nil, count: items.count),
      queue: ArraySlice(items.indices), open: items.count)
    // A process that ended while it had nothing to do is nobody's fault.
    for index in workers.indices { _ = hear(index, &call) }
    workers.removeAll { !$0.process.isOpen }
    while call.open > 0 {
      try assign(&call)
      wait()
      for index in workers.indices {
        try readAnswers(index, &call)
        try checkTime(index, &call)
      }
      workers.removeAll { !$0.process.isOpen }
    }
    return call.results.map { $0 ?? RewardOutcome.unscored(.none) }
  }

  /// Gives idle processes work, and starts processes as long as there is work for them.
  private mutating func assign(_ call: inout Call) throws(RewardError) {
    while workers.count < settings.workers, !call.queue.isEmpty {
      let idle = workers.count { $0.given.isEmpty }
      guard idle * settings.batch < call.queue.count else { break }
      workers.append(Worker(process: try WorkerProcess(command, environment: environment, reward: name)))
    }
    // Shares of equal size, so that no process has a long batch while another has nothing.
    let share = (call.queue.count + settings.workers - 1) / settings.workers
    for index in workers.indices where workers[index].given.isEmpty && !call.queue.isEmpty {
      let given = Array(call.queue.prefix(min(settings.batch, max(1, share))))
      call.queue.removeFirst(given.count)
      workers[index].given = given
      workers[index].since = .now
      workers[index].process.send(given.flatMap { call.lines[$0] })
    }
  }

  /// Waits until something can be read or written, or the next time is up.
  private func wait() {
    var descriptors = workers.flatMap(\.process.polled)
    let left = workers.filter { !$0.given.isEmpty }.map { limit($0) - seconds(since: $0.since) }.min() ?? 0
    _ = poll(&descriptors, nfds_t(descriptors.count), Int32(min(max(0, left * 1000 + 1), 60_000)))
  }

  private func limit(_ worker: Worker) -> Double {
    worker.hasAnswered ? settings.timeout : max(settings.timeout, settings.startTimeout)
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double { (ContinuousClock.now - start) / .seconds(1) }

  /// Passes messages on and returns the lines of output.
  private mutating func hear(_ index: Int, _ call: inout Call) -> [String] {
    let (lines, messages) = workers[index].process.exchange()
    for message in messages {
      lastMessage = message
      log("reward \(name): \(message)")
    }
    return lines
  }

  private mutating func readAnswers(_ index: Int, _ call: inout Call) throws(RewardError) {
    for line in hear(index, &call) {
      guard let answer = try? JSONValue.parse(line.utf8), let members = answer.objectValue,
        let id = members["id"]?.integerValue, let place = call.places[id],
        let position = workers[index].given.firstIndex(of: place)
      else {
        log("reward \(name): not an answer to anything asked: \(line.prefix(200))")
        continue
      }
      workers[index].given.remove(at: position)
      workers[index].since = .now
      workers[index].hasAnswered = true
      fruitless = 0
      settle(place, Self.outcome(members), &call)
    }
    if !workers[index].process.isOpen, !workers[index].given.isEmpty { try blame(index, .crash, &call) }
  }

  private mutating func checkTime(_ index: Int, _ call: inout Call) throws(RewardError) {
    let worker = workers[index]
    guard !worker.given.isEmpty, worker.process.isOpen, seconds(since: worker.since) >= limit(worker) else { return }
    try blame(index, .timeout, &call)
  }

  /// Ends a process; the completion that it was at has no score, the others are given out again.
  private mutating func blame(_ index: Int, _ reason: UnscoredReason, _ call: inout Call) throws(RewardError) {
    let end = workers[index].process.end()
    let given = workers[index].given
    workers[index].given = []
    settle(given[0], .unscored(reason), &call)
    call.queue = ArraySlice(given.dropFirst() + call.queue)
    if !workers[index].hasAnswered { fruitless += 1 }
    guard fruitless < Self.maximumFruitless else {
      let why = reason == .timeout ? "were ended without an answer in \(limit(workers[index])) s" : end
      throw RewardError(
        reward: name,
        problem: "\(fruitless) processes in a row gave no answer (\(why))"
          + (lastMessage.isEmpty ? "" : "; the last message is: \(lastMessage.prefix(200))"),
        remedy: "try the command by hand: one JSON object a line in, one out, flushed")
    }
  }

  private mutating func settle(_ place: Int, _ outcome: RewardOutcome, _ call: inout Call) {
    guard call.results[place] == nil else { return }
    call.results[place] = outcome
    call.open -= 1
  }

  private static func outcome(_ members: [String: JSONValue]) -> RewardOutcome {
    guard let reward = members["reward"] else { return .unscored(.invalid) }
    if reward == .null { return .unscored(.none) }
    guard let value = reward.numberValue else { return .unscored(.invalid) }
    return .scored(value, metrics: (members["metrics"]?.objectValue ?? [:]).compactMapValues(\.numberValue))
  }

  private static func line(_ item: RewardItem) -> [UInt8] {
    var members = item.prompt.fields
    members["id"] = .integer(Int(item.id))
    members["prompt"] = .text(item.prompt.text)
    members["completion"] = .text(item.completion)
    members["answer"] = .text(item.prompt.answer)
    members["finished"] = .bool(item.finished)
    return Array(JSONValue.object(members).serialized.utf8) + [UInt8(ascii: "\n")]
  }
}
