import Rollouts
import Testing

@Suite("Problem families")
struct FamilyTests {
  @Test("Arithmetic is written as configured")
  func arithmetic() throws {
    let plain = try ArithmeticFamily(operation: .addition, digits: 2)
    #expect(plain.radices == [90, 90])
    #expect(plain.problem([37, 28]) == ("47+38=", "85"))
    #expect(plain.problem([89, 89]) == ("99+99=", "198"))
    let padded = try ArithmeticFamily(
      operation: .addition, digits: 2, minimumDigits: 1, isZeroPadded: true, isAnswerReversed: true)
    #expect(padded.radices == [100, 100])
    #expect(padded.problem([7, 38]) == ("07+38=", "540"))
    let difference = try ArithmeticFamily(operation: .subtraction, digits: 2, minimumDigits: 1)
    #expect(difference.problem([12, 47]) == ("12-47=", "-35"))
    let reversed = try ArithmeticFamily(
      operation: .subtraction, digits: 3, minimumDigits: 1, isZeroPadded: true, isAnswerReversed: true)
    #expect(reversed.problem([12, 47]) == ("012-047=", "-530"))
    let product = try ArithmeticFamily(operation: .multiplication, digits: 9)
    #expect(product.problem([899_999_999, 899_999_999]) == ("999999999*999999999=", "999999998000000001"))
    let padding = try ArithmeticFamily(operation: .multiplication, digits: 2, isZeroPadded: true)
    #expect(padding.problem([0, 0]) == ("10*10=", "0100"))
  }

  @Test("Strings are sorted, reversed and copied")
  func sequences() throws {
    func family(_ operation: SequenceFamily.Operation) throws -> SequenceFamily {
      try SequenceFamily(operation: operation, alphabet: .digits, length: 5, minimumLength: 3)
    }
    let choices: [UInt64] = [1, 3, 1, 4, 2, 9]
    #expect(try family(.sorting).problem(choices) == ("sort 3142=", "1234"))
    #expect(try family(.reversal).problem(choices) == ("reverse 3142=", "2413"))
    #expect(try family(.copy).problem(choices) == ("copy 3142=", "3142"))
    #expect(try family(.copy).canonical(choices) == [1, 3, 1, 4, 2])
    #expect(try family(.copy).radices == [3, 10, 10, 10, 10, 10])
    let letters = try SequenceFamily(operation: .sorting, alphabet: .letters, length: 3)
    #expect(letters.problem([0, 25, 0, 12]) == ("sort zam=", "amz"))
  }

  @Test("Sizes out of range are errors with the range")
  func faults() {
    for digits in [0, 10] {
      let error = #expect(throws: TaskError.self) { try ArithmeticFamily(operation: .addition, digits: digits) }
      #expect(error?.description == "task addition: \(digits) digits; give from 1 to 9")
    }
    #expect(throws: TaskError.self) { try ArithmeticFamily(operation: .addition, digits: 2, minimumDigits: 3) }
    #expect(throws: TaskError.self) { try SequenceFamily(operation: .copy, alphabet: .digits, length: 0) }
    #expect(throws: TaskError.self) {
      try SequenceFamily(operation: .copy, alphabet: .digits, length: 2, minimumLength: 0)
    }
  }

  @Test("Answers of drawn additions are the sums, all digit counts occur, and carries occur")
  func draws() throws {
    let family = try ArithmeticFamily(operation: .addition, digits: 3, minimumDigits: 1)
    let task = try ProceduralTask(family: family, seed: 11)
    var answers: Set<Int> = []
    for index in 0..<200 {
      let prompt = try task.prompt(index: index, split: .train)
      let operands = prompt.text.dropLast().split(separator: "+").compactMap { Int($0) }
      #expect(operands.count == 2)
      #expect(Int(prompt.answer) == operands[0] + operands[1])
      answers.insert(prompt.answer.count)
    }
    #expect(answers.isSuperset(of: [3, 4]))
  }
}
