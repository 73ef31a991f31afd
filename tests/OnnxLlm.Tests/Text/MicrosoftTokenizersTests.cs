using Microsoft.ML.Tokenizers;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

/// <summary>Microsoft.ML.Tokenizers reads our files and agrees. Compiled only with OnnxRuntimeSource=nuget, because the package is on NuGet alone.</summary>
public sealed class MicrosoftTokenizersTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void TenThousandLines_GiveTheSameIds()
    {
        string[] speeches = Sotu.Speeches(60);
        var ours = BpeTrainer.Train(speeches, new BpeSettings { VocabularySize = 4096 });
        ours.Save(_folder.Path);
        using var vocabulary = File.OpenRead(_folder.File("vocab.json"));
        using var merges = File.OpenRead(_folder.File("merges.txt"));
        var theirs = CodeGenTokenizer.Create(vocabulary, merges);

        string[] lines = [.. speeches.SelectMany(s => s.Split('\n')).Where(line => line.Length > 0).Take(10_000)];
        Assert.NotEmpty(lines);
        foreach (string line in lines) Assert.Equal(ours.Encode(line), theirs.EncodeToIds(line));
    }

    public void Dispose() => _folder.Dispose();
}
