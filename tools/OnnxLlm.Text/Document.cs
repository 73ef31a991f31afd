namespace OnnxLlm.Text;

/// <summary>One text of a corpus.</summary>
/// <param name="Id">Unique within its source: a file's name, a line's "id", or its place.</param>
/// <param name="Source">The file it came from.</param>
/// <param name="Text">All of it, unchanged.</param>
/// <param name="Split">One of <see cref="OnnxLlm.Text.Split"/>.</param>
public sealed record Document(string Id, string Source, string Text, string Split);
