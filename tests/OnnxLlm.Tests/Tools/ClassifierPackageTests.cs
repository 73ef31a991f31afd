using OnnxLlm.Runtime;
using OnnxLlm.Tests.Training;
using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Tools;

/// <summary>A run of a classifier becomes a package.</summary>
public sealed class ClassifierPackageTests : ClassificationRuns
{
    [Fact]
    public void TrainedRun_Exported_GivesTextsTheirLabels()
    {
        Assert.Equal(Outcome.Finished, Run("run", "epochs=8"));
        string package = Path.Combine(Folder, "package");
        Assert.Matches(@"validation loss 0\.\d{4}, accuracy (9[7-9]|100)\.\d %", ToolCall.Succeeds("export", "--run", Path.Combine(Folder, "run"), "--out", package));
        Assert.Contains("labels bad, good", ToolCall.Succeeds("inspect", "model", package), StringComparison.Ordinal);

        var opened = ModelPackage.Open(package);
        Assert.Equal(["bad", "good"], opened.Config.Labels.AsEnumerable());
        using var session = new EncoderSession(opened, new SessionSettings { Threads = 1 });
        var tokenizer = Tokenizer.Load(package);
        foreach (var (text, label) in new[] { ("there was a nice", "good"), ("poor it was", "bad"), ("fine", "good"), ("then it was the a sad", "bad") })
        {
            float[] scores = session.Score([EncoderInput.Classified([.. tokenizer.EncodeClassified(text)])]).ToArray();
            Assert.Equal(label, opened.Config.Labels[Array.IndexOf(scores, scores.Max())]);
        }
    }
}
