/// A contiguous range of one tensor's elements, numbered from the start of the whole tensor.
public struct ParameterPart: Sendable, Equatable {
  public let id: ParameterID
  public let elements: Range<Int>

  public init(_ id: ParameterID, _ elements: Range<Int>) {
    self.id = id
    self.elements = elements
  }

  /// Divides `parts`, laid end to end, into `count` runs of nearly equal size and returns run `index`.
  ///
  /// Cuts inside a tensor are at multiples of `grain` elements of that tensor, so that storage blocks of up to `grain`
  /// elements are never divided.
  public static func share(
    _ parts: [ParameterPart], index: Int, of count: Int, grain: Int = 2048
  ) -> [ParameterPart] {
    precondition(0..<count ~= index, "share \(index) of \(count)")
    let total = parts.reduce(0) { $0 + $1.elements.count }
    var result: [ParameterPart] = []
    var start = 0
    for part in parts {
      /// First element of share `number` inside this part.
      func cut(_ number: Int) -> Int {
        guard number < count else { return part.elements.upperBound }
        let wanted = total * number / count - start
        guard wanted > 0 else { return part.elements.lowerBound }
        let place = (part.elements.lowerBound + wanted) / grain * grain
        return min(max(place, part.elements.lowerBound), part.elements.upperBound)
      }
      let own = cut(index)..<cut(index + 1)
      if !own.isEmpty { result.append(ParameterPart(part.id, own)) }
      start += part.elements.count
    }
    return result
  }
}
