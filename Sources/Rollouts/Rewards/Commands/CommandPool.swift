import Foundation

/// The processes of a `CommandReward` and their work.
struct CommandPool: ~Copyable {
  /// A process and the completions that it has not answered yet, oldest first.
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
  /// Consecutive processes that ended, or were killed, without an answer.
  private var fruitless = 0
  private var lastMessage = ""
  /// The last line of output that was not an answer.
  private var stray = ""
  private var messages = RepeatedMessages()
  /// Completions without a score so far, by reason.
  private var unscored: [UnscoredReason: Int] = [:]
  /// After this many, the program is at fault, not a completion.
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

  /// The state of one call of `outcomes`.
  private struct Call {
    let items: [RewardItem]
    let lines: [[UInt8]]
    var results: [RewardOutcome?]
    var queue: ArraySlice<Int>
    var open: Int
  }

  mutating func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
    var call = Call(
      items: items, lines: items.map(RewardProtocol.line),
      results: [RewardOutcome?](repeating: nil, count: items.count), queue: ArraySlice(items.indices), open: items.count
    )
    // A process that ended while idle is not an error.
    for index in workers.indices { _ = hear(index) }
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
    // Equal shares, so that no process is idle while another has a long batch.
    let share = (call.queue.count + settings.workers - 1) / settings.workers
    for index in workers.indices where workers[index].given.isEmpty && !call.queue.isEmpty {
      let given = Array(call.queue.prefix(min(settings.batch, max(1, share))))
      call.queue.removeFirst(given.count)
      workers[index].given = given
      workers[index].since = .now
      workers[index].process.send(given.flatMap { call.lines[$0] })
    }
  }

  /// Waits until a stream can be read or written, or the next timeout.
  private func wait() {
    var descriptors = workers.flatMap(\.process.polled)
    let left = workers.filter { !$0.given.isEmpty }.map { limit($0) - seconds(since: $0.since) }.min() ?? 0
    _ = poll(&descriptors, nfds_t(descriptors.count), Int32(min(max(0, left * 1000 + 1), 60_000)))
  }

  private func limit(_ worker: Worker) -> Double {
    worker.hasAnswered ? settings.timeout : max(settings.timeout, settings.startTimeout)
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double { (ContinuousClock.now - start) / .seconds(1) }

  /// Forwards messages and returns the lines of output.
  private mutating func hear(_ index: Int) -> [String] {
    let (lines, messages) = workers[index].process.exchange()
    for message in messages {
      lastMessage = message
      say(message)
    }
    return lines
  }

  private mutating func say(_ message: String) {
    if let shown = messages.admit(message) { log("reward \(name): \(shown)") }
  }

  private mutating func readAnswers(_ index: Int, _ call: inout Call) throws(RewardError) {
    for line in hear(index) {
      switch RewardProtocol.answer(line, given: workers[index].given, of: call.items) {
      case .other:
        stray = line
        say("print to stderr what is not an answer to an open question: \(line)")
      case .outcome(let question, let outcome, let problem):
        if let position = workers[index].given.firstIndex(of: question) { workers[index].given.remove(at: position) }
        workers[index].since = .now
        workers[index].hasAnswered = true
        fruitless = 0
        settle(question, outcome, problem.map { "\($0): \(LogText.plain(line, limit: 4000))" }, &call)
      }
    }
    if !workers[index].process.isOpen, !workers[index].given.isEmpty { try blame(index, .crash, &call) }
  }

  private mutating func checkTime(_ index: Int, _ call: inout Call) throws(RewardError) {
    let worker = workers[index]
    guard !worker.given.isEmpty, worker.process.isOpen, seconds(since: worker.since) >= limit(worker) else { return }
    try blame(index, .timeout, &call)
  }

  /// Kills a process. Its oldest completion has no score; its others are assigned again.
  private mutating func blame(_ index: Int, _ reason: UnscoredReason, _ call: inout Call) throws(RewardError) {
    let end = workers[index].process.end()
    let given = workers[index].given
    workers[index].given = []
    let limit = limit(workers[index])
    settle(given[0], .unscored(reason), reason == .timeout ? "none within \(limit) s" : "the program \(end)", &call)
    call.queue = ArraySlice(given.dropFirst() + call.queue)
    if !workers[index].hasAnswered { fruitless += 1 }
    guard fruitless < Self.maximumFruitless else {
      let why = reason == .timeout ? "were killed without an answer in \(limit) s" : end
      throw RewardError(
        reward: name,
        problem: "\(fruitless) consecutive processes gave no answer (\(why))"
          + (lastMessage.isEmpty ? "" : "; the last message is: \(LogText.plain(lastMessage, limit: 200))")
          + (stray.isEmpty ? "" : "; it printed \(LogText.quoted(stray, limit: 100)), which is not an answer"),
        remedy: stray.isEmpty
          ? "try the command by hand: it must answer each line, a JSON object, with one line, and flush it"
          : "print only answers, each with the question's id: {\"id\": 17, \"reward\": 0.5}; print all else to stderr")
    }
  }

  /// - Parameter problem: why the answer cannot be used, with the answer; nil if it can.
  private mutating func settle(_ question: Int, _ outcome: RewardOutcome, _ problem: String?, _ call: inout Call) {
    guard call.results[question] == nil else { return }
    call.results[question] = outcome
    call.open -= 1
    guard case .unscored(let reason) = outcome, let problem else { return }
    let count = unscored[reason, default: 0] + 1
    unscored[reason] = count
    // The first is always logged in full; the others are counted, also in the metrics of their step.
    if count == 1 {
      let item = call.items[question]
      log(
        "reward \(name): no score (\(reason.text)). The answer: \(problem). The question: \(item.shownPrompt) "
          + "with completion \(item.shownCompletion). Further cases are counted as \(reason.metrics.joined(separator: ", "))"
      )
    } else if RepeatedMessages.isMilestone(count) {
      log("reward \(name): \(count) completions without a score so far: \(reason.text)")
    }
  }
}
