import Errors
import Formats

/// Why a packed model could not be read: what, where (file, tensor, byte) and what to do about it.
public struct PackedFileError: QuillanError, Equatable {
  public enum Code: String, Sendable {
    /// The file cannot be opened or mapped.
    case inaccessible
    /// The file is not a packed model.
    case foreign
    /// This program does not know the version of the format.
    case newer
    /// The file is shorter or longer than it says.
    case truncated
    /// The index contradicts itself, or bytes do not match their hash.
    case corrupt
    /// The tensors belong to another model.
    case mismatch
    /// The kernels of this program on this machine use another layout.
    case otherLayout
  }

  public let code: Code
  public let path: String
  public let tensor: String?
  public let offset: Int?
  public let problem: String
  public let remedy: String?

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

  /// Whether the file's content is at fault, not the machine.
  public var isCorruptData: Bool { code != .inaccessible }

  public var status: ErrorStatus { isCorruptData ? .data : .failure }

  /// File, tensor and byte.
  public var place: String? {
    var place = SafetensorsError.printable(path, limit: 400)
    if let tensor { place += ", tensor '\(SafetensorsError.printable(tensor))'" }
    if let offset { place += ", byte \(offset)" }
    return place
  }
}
