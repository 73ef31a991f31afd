namespace OnnxLlm.Text;

/// <summary>How far a long operation has come.</summary>
/// <param name="Step">What is being done, for people: "counting words".</param>
/// <param name="Done">In the unit of <paramref name="Total"/>.</param>
/// <param name="Total">0 where it is not known.</param>
public readonly record struct TextProgress(string Step, long Done, long Total);
