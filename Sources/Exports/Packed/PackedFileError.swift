/// Why a packed model could not be read: what, where (file, tensor, byte) and what to do about it.
public struct PackedFileError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// The file cannot be opened or mapped.
    case inaccessible
    /// Not a packed model at all.
    case foreign
    /// A version of the format that this program does not know.
    case newer
    /// The file is shorter or longer than it says.
    case truncated
    /// An index that contradicts itself, or bytes that do not have their hash.
    case corrupt
    /// Tensors of another model.
    case mismatch
    /// In another layout of the kernels than this program has on this machine.
    case otherLayout
  }

  public let code: Code
  public let path: String
  public let tensor: String?
  public let offset: Int?
  public let problem: String
  public let remedy: String

  public init(
    _ code: Code, path: String, tensor: String? = nil, offset: Int? = nil, _ problem: String, remedy: String
  ) {
    self.code = code
    self.path = path
    self.tensor = tensor
    self.offset = offset
    self.problem = problem
    self.remedy = remedy
  }

  /// Whether the file's content is at fault rather than the machine.
  public var isCorruptData: Bool { code != .inaccessible }

  /// One line: file, tensor, byte, problem, remedy.
  public var description: String {
    var place = SafetensorsError.printable(path, limit: 400)
    if let tensor { place += ", tensor '\(SafetensorsError.printable(tensor))'" }
    if let offset { place += ", byte \(offset)" }
    return "\(place): \(problem); \(remedy)"
  }
}
