import Errors

/// Why a safetensors file could not be read or written: what, where (file, tensor, byte) and what to do about it.
public struct SafetensorsError: QuillanError, Equatable {
  public enum Code: String, Sendable {
    /// The file or its directory cannot be opened, created or renamed.
    case inaccessible
    /// The operating system failed to read bytes that the file should have.
    case readFailed
    /// The file is shorter than it says.
    case truncated
    /// The header's length or its JSON is not what the format allows.
    case malformedHeader
    /// An element type that this project does not read.
    case unsupportedType
    /// Sizes, holes, overlaps or surplus bytes.
    case inconsistentLayout
    /// A requested tensor is not in the file.
    case missingTensor
    /// A tensor does not have the requested type or shape.
    case mismatch
    /// No space (or quota, or file size) left while writing.
    case diskFull
    /// Writing failed for another reason.
    case writeFailed
    /// The tensors given to the writer cannot form a file.
    case invalidTensor
  }

  public let code: Code
  public let path: String
  /// The tensor concerned, if any.
  public let tensor: String?
  /// The byte of the file concerned, if any.
  public let offset: Int?
  public let problem: String
  public let remedy: String?

  public init(
    code: Code, path: String, tensor: String? = nil, offset: Int? = nil, problem: String, remedy: String?
  ) {
    self.code = code
    self.path = path
    self.tensor = tensor
    self.offset = offset
    self.problem = problem
    self.remedy = remedy
  }

  /// Whether the file's content is at fault (corrupt, incompatible or unexpected), not the machine.
  public var isCorruptData: Bool {
    switch code {
    case .truncated, .malformedHeader, .unsupportedType, .inconsistentLayout, .missingTensor, .mismatch: true
    case .inaccessible, .readFailed, .diskFull, .writeFailed, .invalidTensor: false
    }
  }

  public var status: ErrorStatus { isCorruptData ? .data : .failure }

  /// File, tensor and byte. Names come from files, so they are shortened and escaped.
  public var place: String? {
    var place = Self.printable(path, limit: 400)
    if let tensor { place += ", tensor '\(Self.printable(tensor))'" }
    if let offset { place += ", byte \(offset)" }
    return place
  }

  /// `text` with control characters escaped, cut to `limit` characters.
  package static func printable(_ text: String, limit: Int = 120) -> String {
    var shown = ""
    var count = 0
    for scalar in text.unicodeScalars {
      if count == limit {
        shown += "…"
        break
      }
      let isControl = scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
      let isSeparator = scalar.value == 0x2028 || scalar.value == 0x2029
      if isControl || isSeparator {
        shown += scalar.escaped(asASCII: true)
      } else {
        shown.unicodeScalars.append(scalar)
      }
      count += 1
    }
    return shown
  }
}
