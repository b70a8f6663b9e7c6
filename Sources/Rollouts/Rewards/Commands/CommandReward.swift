import Foundation
import Synchronization

/// A reward computed by a program of the user: a pool of processes that read completions and write scores, both as JSON
/// Lines.
///
///     → {"id": 17, "prompt": "…", "completion": "…", "answer": "…", …the prompt's other members}
///     ← {"id": 17, "reward": 0.5, "metrics": {"words": 3}}
///
/// The program reads line by line, answers each line with one line in the same order, and flushes it; `reward` is a
/// number or null, `metrics` (numbers by name) may be left out. It ends when its input ends. Its stderr goes to the
/// log, with repetitions collapsed. Null, or `"applies": false`, means that the reward does not apply to the completion.
/// A timeout, the end of the process, null with `"applies": true`, or an answer that cannot be used leaves a completion
/// *unscored*, never scored 0. A process that hangs is killed with its descendants and replaced.
/// `RewardProtocol` has the members of the lines.
public final class CommandReward: Reward {
  public struct Settings: Sendable, Equatable {
    /// Program and arguments.
    public var command: [String]
    /// The number of processes of this rank.
    public var workers = 1
    /// The maximum number of unanswered completions of a process.
    public var batch = 16
    /// Seconds for one completion.
    public var timeout = 10.0
    /// Seconds for a new process's first answer, which include its loading time.
    public var startTimeout = 60.0

    public init(command: [String]) { self.command = command }
  }

  public let name: String
  public let settings: Settings
  private let pool: Mutex<CommandPool>

  /// Does not start a process; `outcomes` does.
  ///
  /// - Parameters:
  ///   - rank: this process's number, which workers get as `QUILLAN_RANK`.
  ///   - log: called with the lines that workers write to stderr.
  /// - Throws: `RewardError` if there is no such program.
  public init(
    name: String, settings: Settings, rank: Int = 0, log: @escaping @Sendable (String) -> Void
  ) throws(RewardError) {
    precondition(
      settings.workers > 0 && settings.batch > 0, "\(settings.workers) workers, batches of \(settings.batch)")
    guard let program = settings.command.first, let path = ChildProcess.path(of: program) else {
      throw RewardError(
        reward: name, problem: "the program '\(settings.command.first ?? "")' was not found",
        remedy: "give a path, or a name on PATH, as the first word of the command")
    }
    self.name = name
    self.settings = settings
    pool = Mutex(
      CommandPool(
        name: name, settings: settings, command: Self.mortal([path] + settings.command.dropFirst()),
        environment: Self.environment(rank: rank), log: log))
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    let item = RewardItem(
      id: 0, prompt: prompt, completion: completion, completionTokens: completionTokens, finished: finished)
    guard case .scored(let value, _)? = try? outcomes([item]).first else { return .nan }
    return value
  }

  public func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
    // A value, because the lock's closure has no typed throws.
    let result: Result<[RewardOutcome], RewardError> = pool.withLock { pool in
      do throws(RewardError) { return .success(try pool.outcomes(items)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Makes workers die with this process, even if it is killed and they do not read their input.
  private static func mortal(_ command: [String]) -> [String] {
    guard let setpriv = ChildProcess.path(of: "setpriv") else { return command }
    return [setpriv, "--pdeathsig", "KILL", "--"] + command
  }

  /// This process's environment without the variables that would make a worker a rank of this run.
  private static func environment(rank: Int) -> [String: String] {
    var variables = ChildProcess.environment
    variables["QUILLAN_RANK"] = "\(rank)"
    variables["QUILLAN_REWARD_PROTOCOL"] = "\(RewardProtocol.version)"
    return variables
  }
}
