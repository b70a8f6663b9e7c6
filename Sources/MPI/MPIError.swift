internal import CMPI
import Errors

/// A failed MPI call: the call, the kind of failure, MPI's text, and a remedy.
///
/// Its description is one line for a person.
public struct MPIError: QuillanError, Equatable {
  /// The kinds of failure that callers distinguish; every other error class of MPI is `other` with its number.
  public enum Kind: Equatable, Sendable {
    case communicator, count, elementType, tag, rank, root, operation, truncated, memory, unavailable, shorterMessage
    /// Ranks call different collectives (debug mode).
    case mismatch
    /// A record cannot be encoded or decoded.
    case record
    case other(Int32)
  }

  /// The name of the failed call, for example `MPI_Allreduce`.
  public let call: String
  public let kind: Kind
  /// MPI's own text for the error.
  public let text: String
  /// What a person can do about it.
  public let remedy: String?
  /// Whether a lower rank throws the same error and reports it.
  public let isEchoed: Bool

  public var status: ErrorStatus { .failure }
  /// The failed call; nil for a mismatch, whose text names the calls.
  public var place: String? { kind == .mismatch ? nil : call }
  public var problem: String { text }

  package init(call: String, kind: Kind, text: String, remedy: String, isEchoed: Bool = false) {
    self.call = call
    self.kind = kind
    self.text = text
    self.remedy = remedy
    self.isEchoed = isEchoed
  }

  /// Describes the error code that `call` returned.
  init(call: StaticString, code: Int32) {
    var errorClass: Int32 = 0
    if MPI_Error_class(code, &errorClass) != MPI_SUCCESS { errorClass = code }
    let kind = Kind(errorClass: errorClass)
    self.init(call: "\(call)", kind: kind, text: Self.text(of: code), remedy: kind.remedy)
  }

  /// Describes a record of `rank` that cannot be encoded or decoded.
  init(record type: String, _ error: RecordError, rank: Int) {
    let place = error.place.map { " at \($0)" } ?? ""
    self.init(
      call: "the exchange of \(type)", kind: .record, text: "the message of rank \(rank)\(place): \(error.problem)",
      remedy: Kind.record.remedy)
  }

  private static func text(of code: Int32) -> String {
    var length: Int32 = 0
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MPI_MAX_ERROR_STRING) + 1) { characters in
      characters.initialize(repeating: 0)
      return MPI_Error_string(code, characters.baseAddress, &length) == MPI_SUCCESS
        ? characters.baseAddress.map { String(cString: $0) } : nil
    }
    return text?.split(whereSeparator: \.isNewline).joined(separator: " ") ?? "unknown error code \(code)"
  }
}

extension MPIError.Kind {
  init(errorClass: Int32) {
    switch errorClass {
    case MPI_ERR_COMM: self = .communicator
    case MPI_ERR_COUNT: self = .count
    case MPI_ERR_TYPE: self = .elementType
    case MPI_ERR_TAG: self = .tag
    case MPI_ERR_RANK: self = .rank
    case MPI_ERR_ROOT: self = .root
    case MPI_ERR_OP: self = .operation
    case MPI_ERR_TRUNCATE: self = .truncated
    case MPI_ERR_NO_MEM: self = .memory
    default: self = .other(errorClass)
    }
  }

  var remedy: String {
    switch self {
    case .truncated, .count, .shorterMessage:
      "make sure that all ranks pass the same number of elements to this call"
    case .rank, .root, .communicator:
      "make sure that all ranks use the same communicator and a rank below its size"
    case .elementType, .operation: "make sure that all ranks use the same element type and operation"
    case .tag: "use a tag between 0 and \(Communicator.largestTag)"
    case .mismatch: "make all ranks call the same collectives, with the same arguments, in the same order"
    case .record:
      "run the same build of the program on all ranks; if all ranks do, check the machines' memory and network"
    case .memory: "free memory, or use smaller buffers or fewer ranks per machine"
    case .unavailable: "install openmpi-bin and libopenmpi-dev (Open MPI 4.1) and start the program with their mpirun"
    case .other: "look for the first error line of any rank above; another rank or the network may have failed first"
    }
  }
}

/// Throws the error of `code`, unless `code` is success.
@inline(__always)
func check(_ code: Int32, _ call: StaticString) throws(MPIError) {
  if code != MPI_SUCCESS { throw MPIError(call: call, code: code) }
}
