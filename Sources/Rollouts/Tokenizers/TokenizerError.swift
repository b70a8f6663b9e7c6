import Errors

/// Why a tokenizer's files cannot be used.
public struct TokenizerError: QuillanError, Equatable {
  public let file: String
  /// The line, from 1, if the fault is in one.
  public let line: Int?
  public let problem: String
  public let remedy: String?
  private let isConfiguration: Bool

  /// - Parameter isConfiguration: whether the fault is in the settings, and `file` is a key.
  public init(file: String, line: Int?, problem: String, remedy: String?, isConfiguration: Bool = false) {
    self.isConfiguration = isConfiguration
    self.file = file
    self.line = line
    self.problem = problem
    self.remedy = remedy
  }

  /// `data` if the file could be read, so that the fault is in its contents.
  public var status: ErrorStatus {
    if isConfiguration { return .usage }
    return line != nil || TextFile.isReadable(file) ? .data : .failure
  }
  public var place: String? { line.map { "\(file):\($0)" } ?? file }
}
