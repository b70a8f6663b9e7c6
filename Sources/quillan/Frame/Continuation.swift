import Foundation

/// The shell commands that can follow a run, which its last lines suggest.
struct Continuation {
  /// The command line that started the run.
  let arguments: [String]
  let ranks: Int
  /// The command that starts all ranks, in place of mpirun and the program (`QUILLAN_LAUNCHER`, set by launch scripts).
  let launcher: String?

  init(
    arguments: [String] = CommandLine.arguments, ranks: Int,
    launcher: String? = ProcessInfo.processInfo.environment["QUILLAN_LAUNCHER"]
  ) {
    self.arguments = arguments
    self.ranks = ranks
    self.launcher = launcher
  }

  /// The command of the run, resumed in `directory`, with further arguments.
  func resuming(_ directory: String, _ further: [String] = []) -> String {
    line(kept + ["--resume", directory] + further)
  }

  /// Reinforcement learning from the run's weights, with the run's configuration.
  func training(_ directory: String) -> String {
    var words = kept
    if let index = words.firstIndex(of: "pretrain") { words[index] = "train" }
    return line(Self.dropping(["--name", "--trace"], from: words) + ["--weights", directory])
  }

  /// A prompt for the run's weights.
  func asking(_ directory: String) -> String {
    ([program, "generate", directory].map(Self.quoted) + ["PROMPT"]).joined(separator: " ")
  }

  private var program: String { arguments.first ?? "quillan" }

  /// The arguments without those that only the first start needs.
  private var kept: [String] { Self.dropping(["--resume", "--weights"], from: Array(arguments.dropFirst())) }

  private static func dropping(_ options: [String], from words: [String]) -> [String] {
    var result: [String] = []
    var isValue = false
    for word in words {
      if isValue {
        isValue = false
      } else if options.contains(word) {
        isValue = true
      } else if !options.contains(where: { word.hasPrefix("\($0)=") }) {
        result.append(word)
      }
    }
    return result
  }

  private func line(_ words: [String]) -> String {
    let start =
      launcher ?? ((ranks > 1 ? ["mpirun", "-n", "\(ranks)"] : []) + [program]).map(Self.quoted).joined(separator: " ")
    return ([start] + words.map(Self.quoted)).joined(separator: " ")
  }

  /// The word, quoted if a shell would change it.
  static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        Character(Unicode.Scalar(byte)).isLetter && byte < 0x80 || (0x30...0x39).contains(byte)
          || "-_./=,:+@%".utf8.contains(byte)
      }
    return isPlain ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
  }
}
